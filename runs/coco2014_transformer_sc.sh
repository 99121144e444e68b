#!/usr/bin/env bash
# COCO 2014, Karpathy's split: a Transformer over the 10 x 10 grid of a frozen ResNet-101, self-critical afterwards, beam 5.
#
# Cost     20 GB of downloads, 38 GB of tensors, 51 GB of features; use a GPU. Not measured here.
# Scores   Not measured here. Luo, "A Better Variant of Self-Critical Sequence Training" (2020), trains in this way; the
#          code published with it has for a Transformer of this size, on features of regions, CIDEr 115.0 after
#          cross-entropy and 130.3 afterwards (test split). Grids see less: in Anderson et al. (CVPR 2018) a ResNet's
#          grid has 105.4 where regions have 113.5.
#
# Inputs   COCO_MIRROR      an address that replaces COCO's own, with the same paths
#          ENCODER          a torchvision classifier (resnet101)
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
    data/sources/coco2014/dataset.yaml:split=karpathy
    data/sources/coco2014/dataset.yaml:mirror="${COCO_MIRROR:-null}"
    data.max_missing=0.001
    vocab.threshold=5
    vocab.punctuation=false
    tensors.size=320
    tensors.fit=squash
    encoder.name="${ENCODER:-resnet101}"
    encoder.weights="$(quoted "${weights:-imagenet}")"
    encoder.trainable=false
    encoder.features=grid
    encoder.mirrored=false
    decoder.name=transformer
    decoder.embedding=512
    decoder.hidden=2048
    decoder.layers=6
    decoder.heads=8
    decoder.project=0
    decoder.attention=512
    decoder.doubly_stochastic=1.0
    decoder.dropout=0.1
    decoder.tied=false
    decoder.inject=every
    decoder.batch_norm=true
    train.epochs=15
    train.batch_size=250
    train.batches=padded
    train.accumulate=1
    train.optimizer=adamw
    train.lr=0.0005
    train.weight_decay=0.01
    train.clip=1.0
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
    train.augment.flip=false
    train.encoder.from_epoch=1
    train.encoder.from_layer=all
    train.encoder.rate=1.0
    train.self_critical.epochs=25
    train.self_critical.lr=0.00001
    train.self_critical.samples=5
    train.self_critical.bleu=0.0
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
    generate.temperature=1.0
    generate.top_k=0
    generate.top_p=1.0
    generate.seed=1
    generate.batch_size=256
    evaluate.spice=false
)
run "${settings[@]/#/--set-param=}" "$@"
