"""How much memory training takes, predicted before it is allocated, and what fits into a budget."""
