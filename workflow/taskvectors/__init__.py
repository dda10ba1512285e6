"""Reading, patching and comparing task vectors of vision-and-language models.

The package knows nothing of Snakemake. Each stage is a command,
``python -m taskvectors.<stage>``, and the workflow's rules call those commands.
"""
