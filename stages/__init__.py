"""The pipeline: one folder or file per stage, and beside them the rooms that several stages share."""
