#!/usr/bin/env bash
# Flickr8k: Up-Down and Show, Attend and Tell over one frozen MobileNetV2; the captions are the consensus of what both
# say together, in which captions of similar training pictures vote.
#
# Cost     to be measured
# Scores   to be measured
#
# Inputs   As of runs/flickr8k_attention.sh, which this is with the changes below, and its model, before this:
#          runs/flickr8k_attention.sh -S train.epochs=6 && cp -r data/model data/ensemble/attention
# Further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    decoder.name=updown
    decoder.dropout=0.4
    train.epochs=4
    generate.models='[attention]'
    generate.method=consensus
    generate.temperature=0.7
    generate.neighbours=5
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
