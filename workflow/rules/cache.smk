# --cache: what the rules with `cache:` make is shared between checkouts (docs/cluster.md).
#
# REQUIRED INPUTS: none; $SNAKEMAKE_OUTPUT_CACHE names the folder
# OUTPUTS:         none

# Snakemake lets a rule be measured or cached, not both: a cached result took no time here. And it
# hands --cache on to the nodes of a cluster only where it names rules.
if CACHING:
    cached = [each for each in workflow.rules if each.cache and each.cache.output]
    for each in cached:
        each._benchmark = None
    if not workflow.workflow_settings.cache:
        workflow.workflow_settings.cache = [each.name for each in cached]
