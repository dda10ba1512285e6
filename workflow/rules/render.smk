# Stage render: every table and figure, each beside the published numbers; no model is loaded.
#
# REQUIRED INPUTS: what each item shows (`item_inputs` in common.smk), resources/paper/*.csv
# OUTPUTS:         results/<experiment>/tables/<item>.{csv,md,tex}
#                  results/<experiment>/tables/table_1.html
#                  results/<experiment>/figures/<item>.{pdf,png,csv,md}
#                  results/<experiment>/render/<model>/<template>/<task>/{phases,tops}.csv

RENDER = (
    "python -m taskvectors.render --item {params.item} --experiment {params.experiment} "
    "--template {params.template} --models {params.models} --tasks {params.tasks} "
    "--results {params.results} --seeing {params.seeing} {params.options} "
    "--out {params.stem} --log {log}"
)


# What the delimiter decodes to at every layer, for Figures 3 and 4.
rule decode:
    input:
        activations=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/activations.safetensors",
        baselines=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/baselines.parquet",
        lens=f"{RESULTS}/read/{{model}}/lens.safetensors",
        model=lambda wildcards: model_folder(wildcards.model),
        tasks="resources/tasks.yaml",
    output:
        phases=f"{RESULTS}/render/{{model}}/{{template}}/{{task}}/phases.csv",
        tops=f"{RESULTS}/render/{{model}}/{{template}}/{{task}}/tops.csv",
    log:
        f"{LOGS}/render/{{model}}/{{template}}/{{task}}.log",
    conda:
        "../../envs/cpu.yaml"
    resources:
        mem_mb=4000,
    params:
        out=subpath(output.tops, parent=True),
        code=code_hash("taskvectors.render.decode"),
    shell:
        "python -m taskvectors.render.decode --activations {input.activations} "
        "--baselines {input.baselines} --lens {input.lens} "
        "--tokenizer {input.model}/tokenizer.json --tasks {input.tasks} "
        "--task {wildcards.task} --out {params.out} --log {log}"


# For every table and figure, the rule that renders it and, by its name, a target:
# `snakemake figure_11`.
for item in ITEMS:

    rule:
        name:
            f"render_{item}"
        input:
            **item_inputs(item),
        output:
            **item_outputs(item),
        log:
            f"{LOGS}/render/{item}.log",
        localrule: True
        conda:
            "../../envs/cpu.yaml"
        params:
            item=item,
            template=TEMPLATE,
            models=MODELS,
            tasks=config["tasks"],
            experiment=config["experiment"],
            results=lambda wildcards: RESULTS,
            seeing=SEEING,
            options=item_options(item),
            stem=subpath(output.md, strip_suffix=".md"),
            code=code_hash(items.module_of(item)),
        shell:
            RENDER

    rule:
        name:
            item
        input:
            item_files(item),


for item in LEFT_OUT:

    rule:
        name:
            item
        input:
            refuse(item),
