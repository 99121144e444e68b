#!/usr/bin/env bash
# Flickr8k: Up-Down over the 7 x 7 grid of a frozen MobileNetV2 that sees random crops, cross-entropy, beam 3.
#
# Cost     Not measured yet.
# Scores   Not measured yet.
#
# Inputs   As of runs/flickr8k_attention.sh, which this is with the changes below; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    encoder.crops=6
    decoder.name=updown
    train.epochs=7
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
