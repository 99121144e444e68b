#!/usr/bin/env bash
# Flickr8k: Show, Attend and Tell over a frozen MobileNetV2, as runs/flickr8k_attention.sh; its caption is the consensus of
# those that a beam of 10 finds and of drawn ones, in which the captions of similar training pictures vote.
#
# Cost     16 min 23 s in all on two processor cores (AMD EPYC with AVX512-BF16, 2026-11-30), 70 s of them an epoch.
# Scores   Of dev (it chose the epoch, the search and the votes): BLEU-1 61.5, BLEU-4 20.8, METEOR 20.5, ROUGE-L 46.3,
#          CIDEr 55.5. Measured as runs/flickr8k_attention.sh was.
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
