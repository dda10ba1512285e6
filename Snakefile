"""Where `snakemake` begins; the table of contents is workflow/Snakefile."""


include: "workflow/Snakefile"


workflow.default_target = "all"  # Snakemake forgets the default of what is included
