#!/usr/bin/env bash
# COCO 2014, Karpathy's split: two LSTMs of 1000 with attention over the 10 x 10 grid of a frozen ResNet-101, beam 5.
#
# Cost     20 GB of downloads, 38 GB of tensors, 51 GB of features; use a GPU. Not measured here.
# Scores   Not measured here. Anderson et al., "Bottom-Up and Top-Down Attention" (CVPR 2018), have on the test split, for
#          such a model (their "ResNet" baseline, cross-entropy): BLEU-4 33.4, METEOR 26.1, ROUGE-L 54.4, CIDEr 105.4.
#          `-S decoder.name=attention` is Show, Attend and Tell: Xu et al. (ICML 2015) have BLEU-4 24.3 and METEOR 23.9
#          with soft attention over a VGG's grid.
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
    decoder.name=updown
    decoder.embedding=1000
    decoder.hidden=1000
    decoder.layers=1
    decoder.heads=8
    decoder.project=0
    decoder.attention=512
    decoder.doubly_stochastic=0.0
    decoder.dropout=0.5
    decoder.tied=false
    decoder.inject=every
    decoder.batch_norm=true
    train.epochs=20
    train.batch_size=250
    train.batches=padded
    train.accumulate=1
    train.optimizer=adamw
    train.lr=0.0005
    train.weight_decay=0.0
    train.clip=1.0
    train.ema=0.0
    train.label_smoothing=0.0
    train.scheduled_sampling=0.25
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
    train.self_critical.epochs=0
    train.self_critical.lr=0.00005
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
