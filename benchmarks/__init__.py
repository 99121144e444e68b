"""Speed against what people use; `make bench` runs every file of this folder."""
