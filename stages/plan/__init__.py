"""The stage plan: what fits into the memory budget, for the encoder in models/base."""
