"""Scores and the report page."""
