#!/usr/bin/env bash
# Your own photographs: Show and Tell (LSTM 512) on the pooled features of a frozen ResNet-50, beam 3.
#
# Cost     Not measured here.
# Scores   They depend on your photographs; a few thousand captions are the least that makes sense.
#
# Inputs   PHOTOS_ROOT      the folder with the photographs and captions.csv (image,caption[,split])
#          ENCODER          a torchvision classifier (resnet50)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
# Further arguments go to `dvc exp run`, such as -S train.lr=0.002 or --queue.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
weights=${ENCODER_WEIGHTS:+$(realpath "$ENCODER_WEIGHTS")}
: "${PHOTOS_ROOT:?name the folder of your photographs}"
exec dvc exp run \
    -S data.name=folder \
    -S "data/sources/folder/dataset.yaml:root=$(realpath "$PHOTOS_ROOT")" \
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
