#!/usr/bin/env bash
# Flickr8k: the model of runs/flickr8k_finetuned.sh, rewarded with CIDEr-D for eight epochs; its encoder learns no more.
#
# Cost     45 min in training on one processor core (AMD EPYC with AVX512-BF16, 2026-11-29, beside other work).
# Scores   Of dev: BLEU-1 66.7, BLEU-4 22.0, METEOR 19.9, ROUGE-L 46.3, CIDEr 53.1; greedy 0.474 -> 0.536, bad endings 0.1 %.
#          It was measured with -S encoder.padding=tensorflow.
#
# Inputs   As of runs/flickr8k_attention.sh, and the model, before this:
#          cp -r data/model data/weights/finetuned
# It is runs/flickr8k_finetuned.sh with the changes below; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    encoder.weights=finetuned/model.safetensors
    encoder.trainable=false
    train.start=finetuned
    train.epochs=0
    train.ema=0.99
    train.self_critical.epochs=8
    train.self_critical.lr=0.0006
)
exec "$(dirname "$0")/flickr8k_finetuned.sh" "${changes[@]/#/--set-param=}" "$@"
