# Stage render: every table and figure, each beside the published numbers; no model is loaded.
#
# REQUIRED INPUTS: what each item shows (`item_inputs` in common.smk), resources/paper/*.csv
# OUTPUTS:         results/<experiment>/tables/<item>.{csv,md,tex,json}
#                  results/<experiment>/tables/table_1.html
#                  results/<experiment>/figures/<item>.{pdf,png,csv,md}
#                  results/<experiment>/site/index.html

# Options that all items share.
ITEM = {
    name: f"params.{name}"
    for name in ("item", "experiment", "template", "models", "tasks", "results", "seeing")
}


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
        params:
            item=item,
            template=config["templates"][0],
            models=config["models"],
            tasks=config["tasks"],
            experiment=config["experiment"],
            results=lambda wildcards: RESULTS,
            seeing=PLAN.seeing,
            options=item_options(item),
            stem=subpath(output.md, strip_suffix=".md"),
            code=items.code_of(item),
        shell:
            recorded(
                *("render_{params.item}", "render"),
                **ITEM,
                out="params.stem",
                _options="params.options",
            )

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
        page=template_files("render/site/page.html.j2"),
        absent=[f"workflow/report/{item}.rst" for item in items.ITEMS if item not in ITEMS],
    output:
        f"{RESULTS}/site/index.html",
    log:
        f"{LOGS}/render/site.log",
    benchmark:
        f"{BENCHMARKS}/site/all.jsonl"
    localrule: True
    params:
        experiment=config["experiment"],
        results=lambda wildcards: RESULTS,
        tasks=config["tasks"],
        shown=ITEMS,
        code=code_hash("taskvectors.render.site"),
    shell:
        recorded(
            *("site", "render.site"),
            experiment="params.experiment",
            results="params.results",
            tasks="params.tasks",
            items="params.shown",
            absent="input.absent",
            out="output",
        )
