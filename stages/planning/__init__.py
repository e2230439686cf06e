"""What fits into a memory budget: the rows of a memory plan, for any encoder."""
