#!/usr/bin/env bash
# Flickr8k: Show, Attend and Tell over a frozen MobileNetV2, as runs/flickr8k_attention.sh; its caption is the consensus of
# those that a beam of 10 finds and of drawn ones, in which the captions of similar training pictures vote.
#
# Cost     As of that recipe (an epoch takes 85 s on two processor cores with nothing beside it, 2026-11-30), and 2 min for
#          the captions of 1,000 photographs.
# Scores   Of dev: BLEU-1 61.6, BLEU-4 20.9, METEOR 20.7, ROUGE-L 46.3, CIDEr 55.0 (generate_captions and evaluation alone,
#          2026-11-30, with the model of that recipe and -S encoder.padding=tensorflow).
#
# Inputs   As of runs/flickr8k_attention.sh, which this is with the changes below; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    generate.method=consensus
    generate.beam=10
    generate.temperature=0.7
    generate.neighbours=5
)
exec "$(dirname "$0")/flickr8k_attention.sh" "${changes[@]/#/--set-param=}" "$@"
