"""The stage plan_published: what fits into the memory budget, for published encoders."""
