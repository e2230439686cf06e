"""Experiments outside the pipeline: their results are committed, and the report reads them."""
