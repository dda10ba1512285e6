# Stage collect: one image per entity, with a manifest of where each came from.
#
# REQUIRED INPUTS: an entity table; the packages in envs/data.txt, a folder of one's own, or a
#                  network
# OUTPUTS:         results/<experiment>/collect/<rendering>/<entity set>/
#                  {manifest.csv,ATTRIBUTION.md,images/}, from Wikipedia all sets in one folder with
#                  missing.csv and infoboxes.csv beside them;
#                  results/cache/wikipedia/ keeps what was fetched, for all experiments

COLLECTED = f"{RESULTS}/collect/{{rendering}}/{{entity_set}}"
# All that the experiment names, so that a label audit can be had whatever the images are.
OF_WIKIPEDIA = PLAN.images.of_wikipedia(bool(PLAN.seeing))
OWN = f"{RESULTS}/collect/folder/{{entity_set}}"


rule collect:
    input:
        # What counts of the table is a param.
        tables=lambda wildcards: ancient(PLAN.images.table(wildcards.entity_set)),
    output:
        manifest=f"{COLLECTED}/manifest.csv",
        attribution=f"{COLLECTED}/ATTRIBUTION.md",
        images=directory(f"{COLLECTED}/images"),
    log:
        f"{LOGS}/collect/{{rendering}}/{{entity_set}}.log",
    benchmark:
        f"{BENCHMARKS}/collect/{{rendering}}/{{entity_set}}.jsonl"
    wildcard_constraints:
        rendering="(?!folder/)[a-z]+",
    localrule: True
    params:
        out=subpath(output.manifest, parent=True),
        entities=lambda wildcards: PLAN.images.entities_digest(wildcards.entity_set),
        resized=config["resized"],
        code=code_hash("taskvectors.collect"),
    shell:
        recorded(
            *("collect", "collect", "entities"),
            rendering="wildcards.rendering",
            entities="input.tables",
            resized="params.resized",
            out="params.out",
        )


# One's own images: the files that the folder's table names.
rule collect_folder:
    input:
        # What counts of the table is a param.
        table=lambda wildcards: ancient(PLAN.images.own_table(wildcards.entity_set)),
        files=lambda wildcards: PLAN.images.own_files(wildcards.entity_set),
    output:
        manifest=f"{OWN}/manifest.csv",
        attribution=f"{OWN}/ATTRIBUTION.md",
        images=directory(f"{OWN}/images"),
    log:
        f"{LOGS}/collect/folder/{{entity_set}}.log",
    benchmark:
        f"{BENCHMARKS}/collect_folder/{{entity_set}}.jsonl"
    wildcard_constraints:
        entity_set=PLAN.images.own_pattern,
    localrule: True
    params:
        out=subpath(output.manifest, parent=True),
        own_rows=lambda wildcards: PLAN.images.own_rows(wildcards.entity_set),
        resized=config["resized"],
        code=code_hash("taskvectors.collect"),
    shell:
        recorded(
            *("collect_folder", "collect", "own_rows"),
            rendering="folder",
            entities="input.table",
            resized="params.resized",
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
        entities=[PLAN.images.entities_digest(name) for name in OF_WIKIPEDIA],
        options=lambda wildcards, resources: PLAN.wikipedia_options(),
        resized=config["resized"],
        code=code_hash("taskvectors.collect"),
    shell:
        recorded(
            *("collect_wikipedia", "collect", "entities"),
            rendering="wikipedia",
            _options="params.options",
            entities="input.tables",
            resized="params.resized",
            out="params.out",
        )
