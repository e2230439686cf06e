"""From raw texts to tokenized splits: reading, cleaning, splitting, tokenizing, counting."""
