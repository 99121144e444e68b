#!/usr/bin/env bash
# Flickr8k: Show, Attend and Tell over the 7 x 7 grid of a frozen MobileNetV2, cross-entropy, beam 3.
#
# Cost     26 min of one processor core in training (AMD EPYC with AVX512-BF16, 2026-11-29, beside other work), about
#          130 s of them an epoch.
# Scores   Of dev (it chose the epoch and the beam): BLEU-1 60.3, BLEU-4 19.7, METEOR 19.9, ROUGE-L 45.3, CIDEr 49.1.
#          Measured with
#          OMP_NUM_THREADS=1 FLICKR8K_ROOT=flickr8k ENCODER_WEIGHTS=mobilenet_v2_imagenet.npz \
#              runs/flickr8k_attention.sh -S encoder.padding=tensorflow
#          on the 7,000 photographs of train and dev at 224 x 224 pixels; the weights were trained with TensorFlow.
#          With -S generate.hints=4: BLEU-4 21.2, METEOR 19.9, ROUGE-L 45.7, CIDEr 52.4 (fp32, 2026-11-30, where it is
#          20.1 and 49.5 for BLEU-4 and CIDEr without).
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
    decoder.dropout=0.3
    decoder.tied=true
    train.epochs=10
    train.lr=0.0015
    train.ema=0.995
    generate.beam=3
    generate.length_penalty=0.7
)
exec "$(dirname "$0")/flickr8k.sh" "${changes[@]/#/--set-param=}" "$@"
