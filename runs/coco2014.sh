#!/usr/bin/env bash
# COCO 2014: Show and Tell (LSTM 512) on the pooled features of a frozen ResNet-50, beam 3.
#
# Cost     27 GB of downloads, 18 GB of tensors, 1 GB of features; not measured here.
# Scores   For this recipe (NIC re-implemented on a frozen Inception-v3) the literature has CIDEr 0.79; not measured here.
#
# Inputs   COCO_MIRROR      an address that replaces COCO's own, with the same paths
#          ENCODER          a torchvision classifier (resnet50)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
# Further arguments go to `dvc exp run`, such as -S train.lr=0.002 or --queue.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
weights=${ENCODER_WEIGHTS:+$(realpath "$ENCODER_WEIGHTS")}

exec dvc exp run \
    -S data.name=coco2014 \
    -S "data/sources/coco2014/dataset.yaml:mirror=${COCO_MIRROR:-null}" \
    -S tensors.size=224 \
    -S tensors.fit=crop \
    -S encoder.name="${ENCODER:-resnet50}" \
    -S encoder.weights="${weights:-imagenet}" \
    -S encoder.trainable=false \
    -S encoder.features=pooled \
    -S encoder.mirrored=true \
    -S decoder.embedding=512 \
    -S decoder.hidden=512 \
    -S decoder.dropout=0.5 \
    -S decoder.inject=first \
    -S decoder.batch_norm=true \
    -S train.label_smoothing=0.1 \
    -S train.schedule.name=cosine \
    -S train.schedule.warmup=0.1 \
    -S train.epochs=12 \
    -S train.batch_size=320 \
    -S train.lr=0.001 \
    -S generate.max_length=20 \
    -S generate.length_penalty=0.7 \
    "$@"
