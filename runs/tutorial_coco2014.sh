#!/usr/bin/env bash
# The tutorials' captioner on COCO 2014: frozen ResNet-50, embedding 256, LSTM 100, Adam 1e-3, greedy.
#
# Cost     27 GB of downloads, 24 GB of tensors; the encoder runs in every epoch, on random crops: use a GPU. Not measured here.
# Scores   Captions a person recognises; the tutorials gave no scores. Not measured here.
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
    -S vocab.threshold=8 \
    -S vocab.punctuation=true \
    -S tensors.size=256 \
    -S tensors.fit=crop \
    -S encoder.name="${ENCODER:-resnet50}" \
    -S encoder.weights="${weights:-imagenet}" \
    -S encoder.trainable=false \
    -S encoder.features=pooled \
    -S encoder.mirrored=false \
    -S decoder.embedding=256 \
    -S decoder.hidden=100 \
    -S decoder.layers=1 \
    -S decoder.dropout=0 \
    -S decoder.inject=first \
    -S decoder.batch_norm=false \
    -S train.epochs=4 \
    -S train.batch_size=200 \
    -S train.batches=length \
    -S train.optimizer=adam \
    -S train.lr=0.001 \
    -S train.weight_decay=0 \
    -S train.clip=0 \
    -S train.precision=fp32 \
    -S train.label_smoothing=0 \
    -S train.log_every=1 \
    -S train.schedule.name=plateau \
    -S train.schedule.warmup=0 \
    -S train.schedule.factor=0.1 \
    -S train.augment.crop=224 \
    -S train.augment.flip=true \
    -S generate.beam=1 \
    -S generate.max_length=20 \
    -S generate.length_penalty=0 \
    "$@"
