"""The stage evaluate: predicts with the saved models; scores with intervals, paired comparisons, tables and figures."""
