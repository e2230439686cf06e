"""What `make repro` says before it starts: which stages will run, and for how long."""
