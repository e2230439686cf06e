"""The speed of this project compared with the usual alternatives; not part of the pipeline."""
