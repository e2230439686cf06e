"""The stage plan: what fits into the memory budget."""
