"""Training, the same for all three methods."""
