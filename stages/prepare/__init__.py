"""Raw texts to tokenized splits: read, clean, split, tokenize, count."""
