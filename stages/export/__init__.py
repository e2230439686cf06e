"""Exporting: folders that load without this project, and their model cards."""
