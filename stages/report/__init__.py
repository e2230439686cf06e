"""REPORT.md: tables and phrases computed from the metric files, and the template that they fill."""
