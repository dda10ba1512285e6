# --cache: what the rules with `cache:` make is shared between checkouts (docs/cluster.md).
#
# REQUIRED INPUTS: none; $SNAKEMAKE_OUTPUT_CACHE names the folder
# OUTPUTS:         none

# Snakemake lets a rule be measured or cached, not both: a cached result took no time here.
if CACHING:
    for each in workflow.rules:
        if each.cache and each.cache.output:
            each._benchmark = None
