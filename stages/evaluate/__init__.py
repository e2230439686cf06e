"""From labels and predictions to scores with intervals, paired comparisons, tables and figures, without any model."""
