# Stage render: every table and figure, each beside the published numbers; no model is loaded.
#
# REQUIRED INPUTS: score/<model>/<template>/, read/.../baselines.parquet, resources/paper/*.csv
# OUTPUTS:         results/<experiment>/tables/<item>.{csv,md,tex}
#                  results/<experiment>/figures/<item>.{pdf,png,csv}

# The models whose eyes were trained here: how well they see stands beside their results.
SEEING = [model for model in MODELS if SOURCES[model].eyes]
ITEMS = ["table_3", "table_8", "figure_11", *(["naming"] if SEEING else [])]


ITEM_FILES = [file for item in ITEMS for file in item_files(item)]
SCORES = f"{RESULTS}/score/{{model}}/{TEMPLATE}"
RENDER = (
    "python -m taskvectors.render --item {params.item} --experiment {params.experiment} "
    "--template {params.template} --models {params.models} --tasks {params.tasks} "
    "--results {params.results} --seeing {params.seeing} --out {params.stem} --log {log}"
)


rule render_table:
    input:
        scores=expand(f"{SCORES}/accuracy.csv", model=MODELS),
        published=published_table,
        seeing=[model_folder(model) for model in SEEING],
    output:
        csv=report(
            f"{RESULTS}/tables/{{item}}.csv",
            caption="../report/{item}.rst",
            category="Tables",
            labels={"item": "{item}", "form": "data"},
        ),
        markdown=f"{RESULTS}/tables/{{item}}.md",
        latex=f"{RESULTS}/tables/{{item}}.tex",
    log:
        f"{LOGS}/render/{{item}}.log",
    wildcard_constraints:
        item="table_3|table_8|naming",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        item="{item}",
        template=TEMPLATE,
        models=MODELS,
        tasks=config["tasks"],
        experiment=config["experiment"],
        results=lambda wildcards: RESULTS,
        seeing=SEEING,
        stem=subpath(output.csv, strip_suffix=".csv"),
        code=code_hash("taskvectors.render"),
    shell:
        RENDER


rule render_figure_11:
    input:
        by_layer=expand(f"{SCORES}/by_layer.csv", model=MODELS),
        layer=expand(f"{SCORES}/layer.json", model=MODELS),
        baselines=expand(
            f"{RESULTS}/read/{{model}}/{TEMPLATE}/{{task}}/baselines.parquet",
            model=MODELS,
            task=config["tasks"],
        ),
    output:
        pdf=f"{RESULTS}/figures/figure_11.pdf",
        png=report(
            f"{RESULTS}/figures/figure_11.png",
            caption="../report/figure_11.rst",
            category="Figures",
            labels={"item": "figure_11"},
        ),
        csv=f"{RESULTS}/figures/figure_11.csv",
    log:
        f"{LOGS}/render/figure_11.log",
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        item="figure_11",
        template=TEMPLATE,
        models=MODELS,
        tasks=config["tasks"],
        experiment=config["experiment"],
        results=lambda wildcards: RESULTS,
        seeing=SEEING,
        stem=subpath(output.pdf, strip_suffix=".pdf"),
        code=code_hash("taskvectors.render"),
    shell:
        RENDER
