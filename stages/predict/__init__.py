"""What predicting new texts is made of: reading texts, classifying them in chunks, writing the result."""
