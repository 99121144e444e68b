#!/usr/bin/env bash
# Flickr8k: runs/flickr8k_updown.sh, then six epochs of self-critical training with CIDEr-D as the reward.
#
# Cost     Not measured yet.
# Scores   Not measured yet; docs/results.md has what such epochs gained elsewhere.
#
# Inputs   As of runs/flickr8k_attention.sh; further arguments go to `dvc exp run`.
set -euo pipefail

changes=(
    train.self_critical.epochs=6
    train.self_critical.lr=0.0006
)
exec "$(dirname "$0")/flickr8k_updown.sh" "${changes[@]/#/--set-param=}" "$@"
