"""Task vectors are cross-modal: the workflow's table of contents.

collect -> curate -> (prepare) -> read -> average -> write -> score -> render -> audit
"""

from snakemake.utils import min_version

min_version("9.0")


configfile: "config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/collect.smk"
include: "workflow/rules/curate.smk"
include: "workflow/rules/prepare.smk"
include: "workflow/rules/read.smk"
include: "workflow/rules/average.smk"
include: "workflow/rules/write.smk"
include: "workflow/rules/heads.smk"
include: "workflow/rules/qualitative.smk"
include: "workflow/rules/score.smk"
include: "workflow/rules/score_heads.smk"
include: "workflow/rules/controls.smk"
include: "workflow/rules/instructions.smk"
include: "workflow/rules/compute.smk"
include: "workflow/rules/overriding.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/render.smk"
include: "workflow/rules/audit.smk"
include: "workflow/rules/every.smk"


# Everything that the experiment shows. Each table and figure is a target of its own, too.
rule all:
    default_target: True
    input:
        [PLAN.item_files(item).values() for item in PLAN.items],
        f"{RESULTS}/site/index.html",
        f"{RESULTS}/run_config.yaml",


# Images, datasets and models only: what a machine with a network prepares for one without.
rule fetch_models:
    input:
        PLAN.model_folders(),
