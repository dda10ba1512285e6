"""A small Slurm cluster for the tests."""
