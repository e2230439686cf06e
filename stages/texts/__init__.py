"""Reading the texts of users, in the same way for training and for prediction."""
