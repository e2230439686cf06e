"""The same mathematics in less time: what the libraries compute and nobody reads, or compute at more than it need cost."""
