"""How long a model takes and how much memory it needs: the measuring half of the comparison."""
