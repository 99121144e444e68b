"""Encoder, decoders and the search for captions."""
