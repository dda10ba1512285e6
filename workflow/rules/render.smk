# Stage render: every table and figure, each beside the published numbers; no model is loaded.
#
# REQUIRED INPUTS: what each item shows (`taskvectors.study.items`), resources/paper/*.csv
# OUTPUTS:         results/<experiment>/tables/<item>.{csv,md,tex,json}
#                  results/<experiment>/tables/table_1.html
#                  results/<experiment>/figures/<item>.{pdf,png,csv,md}
#                  results/<experiment>/site/index.html

# For every table and figure, the rule that renders it and, by its name, a target:
# `snakemake figure_11`.
for item in PLAN.items:

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
            module=ITEMS[item].module,
            experiment=config["experiment"],
            models=PLAN.item_models(item),
            tasks=config["tasks"],
            seeing=PLAN.seeing,
            definitions=PLAN.definitions() if "tasks" in ITEMS[item].inputs else "",
            options=PLAN.item_options(item),
            inputs=input_options(PLAN.item_inputs(item)),
            stem=subpath(output.md, strip_suffix=".md"),
            code=code_hash(module_of(item)),
        # One text for all items: it is formatted when the loop is over.
        shell:
            recorded(
                *("render_{params.item}", "render.{params.module}", "definitions"),
                item="params.item",
                experiment="params.experiment",
                models="params.models",
                tasks="params.tasks",
                seeing="params.seeing",
                _options="params.options",
                _inputs="params.inputs",
                out="params.stem",
            )

    rule:
        name:
            item
        input:
            PLAN.item_files(item).values(),


for item in PLAN.left_out:

    rule:
        name:
            item
        input:
            refuse(item),


# All of it on one page that needs no network.
rule site:
    input:
        files=[path for item in PLAN.items for path in PLAN.item_files(item).values()],
        page=template_files("render/site/page.html.j2"),
        absent=[f"workflow/report/{item}.rst" for item in PLAN.left_out],
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
        shown=PLAN.items,
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
