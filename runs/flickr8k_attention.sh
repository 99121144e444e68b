#!/usr/bin/env bash
# Flickr8k: Show, Attend and Tell over the 7 x 7 grid of a frozen MobileNetV2, cross-entropy, beam 3.
#
# Cost     26 min in all on two processor cores (AMD EPYC with AVX512-BF16, 2026-11-21, beside other work), about 105 s
#          of them an epoch.
# Scores   Of dev (it chose the epoch and the beam): BLEU-1 60.0, BLEU-4 20.0, METEOR 19.3, ROUGE-L 44.7, CIDEr 48.2.
#          Measured with
#          FLICKR8K_ROOT=flickr8k ENCODER_WEIGHTS=mobilenet_v2_imagenet.npz runs/flickr8k_attention.sh
#          on the 7,000 photographs of train and dev at 224 x 224 pixels.
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
