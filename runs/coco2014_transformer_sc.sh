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
# It is runs/coco2014_attention.sh with the changes below. Further arguments go to `dvc exp run`, such as
# -S train.lr=0.001 or --queue.
set -euo pipefail

changes=(
    decoder.name=transformer
    decoder.embedding=512
    decoder.hidden=2048
    decoder.layers=6
    decoder.dropout=0.1
    train.epochs=15
    train.weight_decay=0.01
    train.label_smoothing=0.1
    train.scheduled_sampling=0.0
    train.self_critical.epochs=25
    train.self_critical.lr=0.00001
)
exec "$(dirname "$0")/coco2014_attention.sh" "${changes[@]/#/--set-param=}" "$@"
