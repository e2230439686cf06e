"""What exporting is made of: folders that load without this project, and their model cards."""
