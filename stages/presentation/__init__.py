"""How results look: one style for all figures, one Markdown table, one set of titles."""
