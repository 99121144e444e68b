#!/usr/bin/env bash
# Flickr8k: Up-Down over the 7 x 7 grid of a frozen MobileNetV2 that sees random crops, cross-entropy, beam 3.
#
# Cost     Not measured yet.
# Scores   Not measured yet.
#
# Inputs   FLICKR8K_ROOT    the folder with the photographs and captions, in any of its usual forms
#          ENCODER          a torchvision classifier (mobilenet_v2)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
# It is runs/flickr8k_attention.sh with the changes below. Further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    encoder.crops=6
    decoder.name=updown
    decoder.dropout=0.3
    train.epochs=7
    train.ema=0.995
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
