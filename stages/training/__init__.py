"""The one training skeleton of the three methods."""
