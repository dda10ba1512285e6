# What holds for every rule: its environment, how `--cache` shares results between checkouts
# (docs/cluster.md), and that what is there is held to its record (docs/provenance.md).
#
# REQUIRED INPUTS: envs/cpu.yaml; with --cache, $SNAKEMAKE_OUTPUT_CACHE names the folder
# OUTPUTS:         none

for each in workflow.rules:
    if each.shellcmd:
        each.conda_env = workflow.current_basedir.join("../../envs/cpu.yaml")
    # Snakemake lets a rule be measured or cached, not both: a cached result took no time here.
    if CACHING and each.cache and each.cache.output:
        each._benchmark = None

if not workflow.remote_exec:  # where the plan is made
    hold_to_records()
