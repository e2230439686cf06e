"""The stage benchmark: measures how long each method takes and how much memory it needs."""
