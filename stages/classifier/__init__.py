"""The classifier: a pre-trained encoder with a head, the data it reads, and what it predicts."""
