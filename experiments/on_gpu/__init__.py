"""What the comparison costs and gives on a CUDA GPU."""
