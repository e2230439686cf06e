"""Fetch texts and encoder: from the two pinned archives, the user's own files, or the Hugging Face Hub."""
