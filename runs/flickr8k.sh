#!/usr/bin/env bash
# Flickr8k: Show and Tell (LSTM 512) on the pooled features of a frozen SqueezeNet 1.0, beam 3.
#
# Cost     On two processor cores about a minute an epoch and four minutes of features; not measured whole yet.
# Scores   Not measured yet.
#
# Inputs   FLICKR8K_ROOT    the folder with the photographs and captions, in any of its usual forms
#          ENCODER          a torchvision classifier (squeezenet1_0)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
# Further arguments go to `dvc exp run`, such as -S train.lr=0.002 or --queue.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/.venv/bin:$PATH"
weights=${ENCODER_WEIGHTS:+$(realpath "$ENCODER_WEIGHTS")}
: "${FLICKR8K_ROOT:?name the folder of Flickr8k}"
exec dvc exp run \
    -S data.name=flickr8k \
    -S "data/sources/flickr8k/dataset.yaml:root=$(realpath "$FLICKR8K_ROOT")" \
    -S tensors.size=224 \
    -S tensors.fit=crop \
    -S encoder.name="${ENCODER:-squeezenet1_0}" \
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
