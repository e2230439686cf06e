"""Predict new texts: read them, classify them in chunks, write the predictions."""
