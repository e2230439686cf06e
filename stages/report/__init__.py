"""REPORT.md: a template, and the tables and sentences that fill it, computed from the metric files."""
