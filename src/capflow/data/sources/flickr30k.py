"""Flickr30k, as people have it on their disks.

P. Young, A. Lai, M. Hodosh, J. Hockenmaier, "From image descriptions to visual denotations" (TACL 2, 2014).
"""

from typing import Literal

from capflow.data.sources.flickr8k import FlickrSpec, Layout

FLICKR30K = Layout(
    title="Flickr30k",
    whole="dataset_flickr30k.json",
    archives=("images.zip", "flickr30k-images.zip", "flickr30k_images.zip"),
    folders=(
        "Images",
        "images",
        "flickr30k-images",
        "flickr30k_images",
        "flickr30k_images/flickr30k_images",
        ".",
    ),
    captions=("captions.csv", "captions.txt", "results.csv", "results_20130124.token"),
    lists={"train": ("train.txt",), "val": ("val.txt", "dev.txt"), "test": ("test.txt",)},
)


class Flickr30kSpec(FlickrSpec):
    """dataset.yaml of Flickr30k."""

    kind: Literal["flickr30k"]
