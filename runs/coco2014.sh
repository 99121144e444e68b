#!/usr/bin/env bash
# COCO 2014: an LSTM of 512 on the pooled features of a frozen ResNet-50, beam 5.
#
# Cost     27 GB of downloads, 18 GB of tensors, 1 GB of features; not measured here.
# Scores   Not measured here; the literature has CIDEr 0.79 for such a model (NIC, re-implemented on a frozen Inception-v3).
#
# Inputs   COCO_MIRROR      an address that replaces COCO's own, with the same paths
#          ENCODER          a torchvision classifier (resnet50)
#          ENCODER_WEIGHTS  a file of its weights, instead of the download
# Further arguments go to `dvc exp run`, such as -S train.lr=0.001 or --queue.
set -euo pipefail
source "$(dirname "$0")/inputs"

settings=(
    seed=1
    data.name=coco2014
    data.root=data/photos
    data/sources/coco2014/dataset.yaml:captions=all
    data/sources/coco2014/dataset.yaml:max_images=null
    data/sources/coco2014/dataset.yaml:split=official
    data/sources/coco2014/dataset.yaml:mirror="${COCO_MIRROR:-null}"
    data.max_missing=0.001
    vocab.threshold=5
    vocab.punctuation=false
    tensors.size=224
    tensors.fit=crop
    encoder.name="${ENCODER:-resnet50}"
    encoder.weights="$(quoted "${weights:-imagenet}")"
    encoder.padding=torch
    encoder.trainable=false
    encoder.features=pooled
    encoder.mirrored=true
    encoder.crops=0
    decoder.name=lstm
    decoder.embedding=512
    decoder.hidden=512
    decoder.layers=1
    decoder.heads=8
    decoder.project=0
    decoder.attention=512
    decoder.doubly_stochastic=1.0
    decoder.dropout=0.4
    decoder.tied=false
    decoder.inject=every
    decoder.batch_norm=true
    train.start=none
    train.epochs=10
    train.batch_size=160
    train.batches=padded
    train.accumulate=1
    train.optimizer=adamw
    train.lr=0.002
    train.weight_decay=0.01
    train.clip=5.0
    train.ema=0.0
    train.label_smoothing=0.1
    train.scheduled_sampling=0.0
    train.precision=auto
    train.patience=0
    train.log_every=10
    train.schedule.name=cosine
    train.schedule.warmup=0.1
    train.schedule.every=1
    train.schedule.factor=0.5
    train.schedule.patience=0
    train.augment.crop=0
    train.augment.area=1.0
    train.augment.flip=false
    train.encoder.from_epoch=1
    train.encoder.from_layer=all
    train.encoder.rate=1.0
    train.self_critical.epochs=0
    train.self_critical.lr=0.00005
    train.self_critical.samples=5
    train.self_critical.bleu=0.0
    train.self_critical.lookalikes=0.0
    generate.splits='[val,test]'
    generate.models='[]'
    generate.method=beam
    generate.max_length=20
    generate.min_length=0
    generate.no_repeat=0
    generate.beam=5
    generate.length_penalty=1.0
    generate.groups=1
    generate.diversity=0.0
    generate.hints=0.0
    generate.temperature=1.0
    generate.top_k=0
    generate.top_p=1.0
    generate.drawn=20
    generate.likelihood=0.1
    generate.lookalikes=0.0
    generate.seed=1
    generate.batch_size=256
    evaluate.spice=false
)
run "${settings[@]/#/--set-param=}" "$@"
