"""From photographs and captions to arrays: sources, downloads, tensors, features, batches."""
