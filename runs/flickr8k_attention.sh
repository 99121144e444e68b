#!/usr/bin/env bash
# Flickr8k: Show, Attend and Tell over the 7 x 7 grid of a frozen MobileNetV2, cross-entropy, beam 3.
#
# Cost     Not measured yet.
# Scores   Not measured yet.
#
# Inputs   FLICKR8K_ROOT    the folder with the photographs and captions, in any of its usual forms
#          ENCODER          a torchvision classifier (mobilenet_v2)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
# It is runs/flickr8k.sh with the changes below. Further arguments go to `dvc exp run`, such as -S train.epochs=5.
set -euo pipefail
export ENCODER=${ENCODER:-mobilenet_v2}

changes=(
    encoder.features=grid
    decoder.name=attention
    decoder.project=512
    decoder.dropout=0.5
    decoder.tied=true
    train.epochs=12
    train.lr=0.0015
    train.ema=0.99
    generate.beam=3
    generate.length_penalty=0.7
)
exec "$(dirname "$0")/flickr8k.sh" "${changes[@]/#/--set-param=}" "$@"
