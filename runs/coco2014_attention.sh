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
# It is runs/coco2014.sh with the changes below. Further arguments go to `dvc exp run`, such as
# -S train.lr=0.001 or --queue.
set -euo pipefail
export ENCODER=${ENCODER:-resnet101}

changes=(
    data/sources/coco2014/dataset.yaml:split=karpathy
    tensors.size=320
    tensors.fit=squash
    encoder.features=grid
    encoder.mirrored=false
    decoder.name=updown
    decoder.embedding=1000
    decoder.hidden=1000
    decoder.doubly_stochastic=0.0
    decoder.dropout=0.5
    train.epochs=20
    train.batch_size=250
    train.lr=0.0005
    train.weight_decay=0.0
    train.clip=1.0
    train.label_smoothing=0.0
    train.scheduled_sampling=0.25
)
exec "$(dirname "$0")/coco2014.sh" "${changes[@]/#/--set-param=}" "$@"
