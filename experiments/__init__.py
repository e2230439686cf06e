"""Measurements that stand outside the pipeline: their results are committed, and read by the report."""
