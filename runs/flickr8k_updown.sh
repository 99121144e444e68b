#!/usr/bin/env bash
# Flickr8k: Up-Down over the 7 x 7 grid of a frozen MobileNetV2 that sees random crops, cross-entropy, beam 3.
#
# Cost     125 to 145 s an epoch on two processor cores (AMD EPYC with AVX512-BF16, 2026-11-29), after 6 min for features.
# Scores   Of dev, greedy: CIDEr 43.2 after the fifth of seven epochs, where it was stopped; no better than
#          runs/flickr8k_attention.sh. With an encoder that has learnt from photographs it is: runs/flickr8k_finetuned.sh.
#
# Inputs   As of runs/flickr8k_attention.sh, which this is with the changes below; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    encoder.crops=6
    decoder.name=updown
    train.epochs=7
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
