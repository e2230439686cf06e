"""The study behind the comparison: many small trainings ("cells") with several seeds, and what follows from them."""
