# Stage collect: one image per entity, with a manifest of where each came from.
#
# REQUIRED INPUTS: resources/entities/*.csv; the packages in envs/data.txt, or a network
# OUTPUTS:         results/<experiment>/collect/<rendering>/{manifest.csv,ATTRIBUTION.md,images/}
#                  and, from Wikipedia, missing.csv and infoboxes.csv beside them;
#                  results/cache/wikipedia/ keeps what was fetched, for all experiments


rule collect:
    input:
        tables=ancient(PLAN.entity_tables),  # what counts of them is a param
    output:
        manifest=f"{RESULTS}/collect/{{rendering}}/manifest.csv",
        attribution=f"{RESULTS}/collect/{{rendering}}/ATTRIBUTION.md",
        images=directory(f"{RESULTS}/collect/{{rendering}}/images"),
    log:
        f"{LOGS}/collect/{{rendering}}.log",
    benchmark:
        f"{BENCHMARKS}/collect/{{rendering}}.jsonl"
    wildcard_constraints:
        rendering="(?!wikipedia/)[a-z]+",
    localrule: True
    params:
        out=subpath(output.manifest, parent=True),
        entities=PLAN.entities_digest(),
        code=code_hash("taskvectors.collect"),
    shell:
        recorded(
            *("collect", "collect", "entities"),
            rendering="wildcards.rendering",
            entities="input.tables",
            out="params.out",
        )


# Who collects and how fast makes no image stale: Snakemake does not compare parameters that
# are functions of resources. `snakemake -f collect_wikipedia --config refresh=true` runs it again.
rule collect_wikipedia:
    input:
        tables=ancient(tables_for_wikipedia),  # what counts of them is a param
    output:
        manifest=f"{RESULTS}/collect/wikipedia/manifest.csv",
        attribution=f"{RESULTS}/collect/wikipedia/ATTRIBUTION.md",
        missing=f"{RESULTS}/collect/wikipedia/missing.csv",
        infoboxes=f"{RESULTS}/collect/wikipedia/infoboxes.csv",
        images=directory(f"{RESULTS}/collect/wikipedia/images"),
    log:
        f"{LOGS}/collect/wikipedia.log",
    benchmark:
        f"{BENCHMARKS}/collect_wikipedia/wikipedia.jsonl"
    localrule: True
    params:
        out=subpath(output.manifest, parent=True),
        entities=PLAN.entities_digest(),
        options=lambda wildcards, resources: PLAN.wikipedia_options(),
        code=code_hash("taskvectors.collect"),
    shell:
        recorded(
            *("collect_wikipedia", "collect", "entities"),
            rendering="wikipedia",
            _options="params.options",
            entities="input.tables",
            out="params.out",
        )
