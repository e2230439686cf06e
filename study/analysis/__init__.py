"""What the finished cells of the study say: intervals, tests, tables and figures. `python -m study.summarize` writes them."""
