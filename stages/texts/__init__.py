"""How the texts of users are read: the same way where a model is trained and where it predicts."""
