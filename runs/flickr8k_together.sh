#!/usr/bin/env bash
# Flickr8k: two decoders of Show, Attend and Tell over one frozen MobileNetV2; captions are the consensus of what both say
# together, in which captions of similar training pictures vote.
#
# Cost     to be measured
# Scores   to be measured
#
# Inputs   As of runs/flickr8k_attention.sh, which this is with the changes below, and a model of it, before this:
#          runs/flickr8k_attention.sh -S train.epochs=6
#          mkdir data/ensemble/first && cp data/model/* data/ensemble/first
# Further arguments go to `dvc exp run`; both take the same. Queued experiments do not see data/ensemble.
set -euo pipefail

changes=(
    seed=2
    train.epochs=6
    generate.models='[first]'
    generate.method=consensus
    generate.temperature=0.7
    generate.neighbours=5
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
