# Stage render: every table and figure, each beside the published numbers; no model is loaded.
#
# REQUIRED INPUTS: what each item shows (`item_inputs` in common.smk), resources/paper/*.csv
# OUTPUTS:         results/<experiment>/tables/<item>.{csv,md,tex}
#                  results/<experiment>/tables/table_1.html
#                  results/<experiment>/figures/<item>.{pdf,png,csv,md}
#                  results/<experiment>/site/index.html

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
        benchmark:
            f"{BENCHMARKS}/render_{item}/all.jsonl"
        localrule: True
        conda:
            "../../envs/cpu.yaml"
        params:
            models=item_models(item),
            tasks=config["tasks"],
            experiment=config["experiment"],
            seeing=SEEING,
            options=item_options(item),
            stem=subpath(output.md, strip_suffix=".md"),
            code=code_hash(items.module_of(item)),
        shell:
            recorded(f"render_{item}", render_command(item))

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


# All of it on one page that needs no network.
rule site:
    input:
        files=[path for item in ITEMS for path in item_files(item)],
        page=expand("workflow/taskvectors/render/site/{file}", file=SITE_FILES),
        captions=expand("workflow/report/{item}.rst", item=items.ITEMS),
    output:
        f"{RESULTS}/site/index.html",
    log:
        f"{LOGS}/render/site.log",
    benchmark:
        f"{BENCHMARKS}/site/all.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        experiment=config["experiment"],
        results=lambda wildcards: RESULTS,
        tasks=config["tasks"],
        shown=ITEMS,
        absent=[item for item in items.ITEMS if item not in ITEMS],
        code=code_hash("taskvectors.render.site"),
    shell:
        recorded(
            "site",
            "python -m taskvectors.render.site --experiment {params.experiment} "
            "--results {params.results} --tasks {params.tasks} --items {params.shown} "
            "--absent {params.absent} --out {output} --log {log}",
        )
