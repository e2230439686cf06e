"""How much memory training takes, told before it is allocated, and what fits into a budget."""
