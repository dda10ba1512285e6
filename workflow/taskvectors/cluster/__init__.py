"""The workflow on a Slurm cluster: its executor, and what a dry run shows of it."""
