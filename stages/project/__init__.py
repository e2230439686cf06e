"""What every stage needs: parameters, paths, files, errors, and how a stage runs."""
