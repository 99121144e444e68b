"""Words: tokens and the vocabulary."""
