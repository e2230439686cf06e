"""Where texts and encoder come from: the two pinned archives, or the user's own file and folder."""
