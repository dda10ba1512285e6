"""Your own prompts, without Snakemake."""
