#!/usr/bin/env bash
# Flickr8k, one change at a time: decoders, smoothing, beams, a fine-tuned encoder, self-critical training.
#
# Each line below is an experiment of its own, runs/flickr8k_attention.sh with changes, in DVC's queue; nothing runs
# yet. The first is the base: attention over the grid of a frozen MobileNetV2, smoothing 0.1, beam 3. The others say
# what differs from it. Then
#
#     dvc queue start                     # in the background, one after another: what two share is computed once
#     dvc queue status                    # also says what failed; dvc queue logs NAME says why
#     runs/flickr8k_ablation.sh --table   # ablation.csv: names, what was changed, scores
#
# Cost     Not measured at full size: 13 trainings, of which those with a trained encoder or self-critical epochs cost most.
# Scores   docs/results.md has them for 1,000 photographs.
#
# Inputs   FLICKR8K_ROOT    the folder with the photographs and captions, in any of its usual forms
#          ENCODER          a torchvision classifier (mobilenet_v2)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
#          ENCODER_LAYER    where the part of it begins that learns in the experiments `tuned` (features.14)
# Further arguments go to each `dvc exp run`, such as -S train.epochs=5.
set -euo pipefail
runs=$(dirname "${BASH_SOURCE[0]}")
export ENCODER=${ENCODER:-mobilenet_v2}

if [[ "${1:-}" == --table ]]; then
    cd "$runs/.."
    changed='decoder\.name|encoder\.trainable|generate\.beam|train\.label_smoothing|train\.self_critical\.(epochs|bleu)'
    PATH="${CAPFLOW_VENV:-$PWD/.venv}/bin:$PATH" dvc exp show --csv --hide-workspace --sort-by CIDEr --sort-order desc \
        --drop '.*' --keep "Experiment|State|$changed|Bleu_4|METEOR|ROUGE_L|CIDEr|val_CIDEr" > ablation.csv
    exit
fi

base=(encoder.mirrored=false)
lstm=(encoder.features=pooled decoder.name=lstm)
updown=(decoder.name=updown)
transformer=(decoder.name=transformer decoder.layers=2 decoder.hidden=1024 decoder.dropout=0.2 train.lr=0.0005
    train.self_critical.lr=0.0002)
tuned=(encoder.trainable=true train.encoder.from_epoch=4 train.encoder.from_layer="${ENCODER_LAYER:-features.14}"
    train.encoder.rate=0.05)
critical=(train.self_critical.epochs=5 train.self_critical.lr=0.0006)

more=("$@")
# experiment NAME SETTINGS: put it into the queue.
experiment() {
    local settings=("${base[@]}" "${@:2}")
    "$runs/flickr8k_attention.sh" --queue --name "ablation-$1" "${settings[@]/#/--set-param=}" "${more[@]}"
}

experiment base
experiment lstm "${lstm[@]}"
experiment updown "${updown[@]}"
experiment transformer "${transformer[@]}"
experiment plain train.label_smoothing=0.0
experiment beam-1 generate.beam=1
experiment beam-5 generate.beam=5
experiment tuned "${tuned[@]}"
experiment critical "${critical[@]}"
experiment critical-beam-1 "${critical[@]}" generate.beam=1
experiment critical-bleu "${critical[@]}" train.self_critical.bleu=1.0
experiment critical-plain "${critical[@]}" train.label_smoothing=0.0
experiment tuned-critical "${tuned[@]}" "${critical[@]}"
experiment transformer-critical "${critical[@]}" "${transformer[@]}"
experiment transformer-tuned "${transformer[@]}" "${tuned[@]}"
experiment transformer-tuned-critical "${critical[@]}" "${transformer[@]}" "${tuned[@]}"
