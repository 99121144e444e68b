#!/usr/bin/env bash
# Flickr8k: Up-Down over the 7 x 7 grid of a MobileNetV2 that learns from features.7 on, on random crops; beam 3.
#
# Cost     48 min in training on one processor core (AMD EPYC with AVX512-BF16, 2026-11-29, beside other work), 360 s an
#          epoch.
# Scores   Of dev (it chose the epoch and the beam): BLEU-1 62.7, BLEU-4 21.9, METEOR 20.5, ROUGE-L 46.7, CIDEr 52.1, with
#          -S encoder.padding=tensorflow and an encoder that had learnt for two epochs before, in another training. From
#          the published weights with train.epochs=10: greedy CIDEr 47.8 (W in docs/results.md).
#
# Inputs   As of runs/flickr8k_attention.sh, which this is with the changes below; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    encoder.trainable=true
    decoder.name=updown
    train.epochs=8
    train.augment.area=0.4
    train.augment.flip=true
    train.encoder.from_epoch=2
    train.encoder.from_layer=features.7
    train.encoder.rate=0.1
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
