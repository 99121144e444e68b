#!/usr/bin/env bash
# Flickr8k: the model of runs/flickr8k_finetuned.sh, with ten epochs, speaks together with that of
# runs/flickr8k_attention.sh; consensus, weighed by what training pictures that look alike let expect.
#
# Cost     117 min in training and 7 min for the captions of 1,000 pictures (two cores of an Intel Xeon without
#          AVX512-BF16, 2026-11-30; training had one of them, and other work beside it).
# Scores   Of dev (it chose the epoch, the search and the weights): BLEU-1 65.7, BLEU-4 23.9, METEOR 21.6, ROUGE-L 48.3,
#          CIDEr 61.4. Measured stage by stage, not in one go, with encoder.padding=tensorflow.
#
# Inputs   As of runs/flickr8k_attention.sh, and its model, before this:
#          cp -r data/model data/ensemble/attention
# It is runs/flickr8k_finetuned.sh with the changes below; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    train.epochs=10
    generate.models='[attention]'
    generate.method=consensus
    generate.beam=10
    generate.temperature=0.7
    generate.drawn=30
    generate.lookalikes=12
)
exec "$(dirname "$0")/flickr8k_finetuned.sh" "${changes[@]/#/--set-param=}" "$@"
