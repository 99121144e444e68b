"""Image captioning as a data-versioned machine-learning pipeline."""

__version__ = "0.1.0"
