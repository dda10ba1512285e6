# Stage audit: the experiment as a crate to share, and the licences of what it shows. Not part
# of `all`. To ask where a file is from: `python -m taskvectors.audit trace <file>`.
#
# REQUIRED INPUTS: everything that the experiment shows, and its records
# OUTPUTS:         results/<experiment>/ATTRIBUTION.html
#                  results/<experiment>/{ro-crate-metadata.json,source/}
#                  results/<experiment>/cost/cost.{csv,md,pdf,png}
#                  results/<experiment>/run_config.yaml
#                  results/<experiment>/publish/


rule attribution:
    input:
        manifests=PLAN.manifests,
        datasets=PLAN.datasets,
        models=PLAN.model_folders(),
        packages="envs/data.txt",
        figures=[PLAN.item_files(i)["pdf"] for i in PLAN.items if i.startswith("figure")],
        page=template_files("audit/attribution.html.j2"),
    output:
        f"{RESULTS}/ATTRIBUTION.html",
    log:
        f"{LOGS}/attribution.log",
    localrule: True
    params:
        experiment=config["experiment"],
        code=code_hash("taskvectors.audit.attribution"),
    shell:
        recorded(
            *("attribution", "audit.attribution"),
            experiment="params.experiment",
            manifests="input.manifests",
            datasets="input.datasets",
            models="input.models",
            packages="input.packages",
            figures="input.figures",
            out="output",
        )


rule crate:
    input:
        shown=[PLAN.item_files(item).values() for item in PLAN.items],
        config=f"{RESULTS}/run_config.yaml",
        croissant=f"{RESULTS}/curate/croissant.json",
        copies=f"{RESULTS}/curate/items_parquet",
        attribution=f"{RESULTS}/ATTRIBUTION.html",
    output:
        metadata=f"{RESULTS}/ro-crate-metadata.json",
        source=directory(f"{RESULTS}/source"),
    log:
        f"{LOGS}/crate.log",
    localrule: True
    params:
        results=lambda wildcards: RESULTS,
        code=code_hash("taskvectors.audit.crate"),
    shell:
        recorded(*("crate", "audit.crate"), results="params.results", shown="input")


# Vectors, tables, licences and a card, ready for the hub (docs/sharing.md).
rule publish:
    input:
        vectors=of_models("average", "vectors.safetensors"),
        sidecars=of_models("read", "activations.json"),
        models=[PLAN.model_folder(model) for model in config["models"]],
        tasks=ancient("resources/tasks.yaml"),  # its lines that count are a param
        manifests=PLAN.images.manifests(PLAN.entity_sets),
        tables=[PLAN.item_files(i)["md"] for i in PLAN.items if not i.startswith("figure")],
        attribution=f"{RESULTS}/ATTRIBUTION.html",
        croissant=f"{RESULTS}/curate/croissant.json",
        copies=f"{RESULTS}/curate/items_parquet",
    output:
        directory(f"{RESULTS}/publish"),
    log:
        f"{LOGS}/publish.log",
    localrule: True
    params:
        experiment=config["experiment"],
        definitions=PLAN.definitions(),
        code=code_hash("taskvectors.publish"),
    shell:
        recorded(
            *("publish", "publish", "definitions"),
            experiment="params.experiment",
            vectors="input.vectors",
            sidecars="input.sidecars",
            models="input.models",
            tasks="input.tasks",
            manifests="input.manifests",
            tables="input.tables",
            attribution="input.attribution",
            croissant="input.croissant",
            copies="input.copies",
            out="output",
        )


# What the experiment took, by rule and model.
rule cost:
    output:
        multiext(f"{RESULTS}/cost/cost", ".csv", ".md", ".pdf", ".png"),
    log:
        f"{LOGS}/cost.log",
    localrule: True
    params:
        benchmarks=BENCHMARKS,
        experiment=config["experiment"],
        # No inputs: as such, measurements would make their rules run again.
        measured=PLAN.measured(),
        stem=subpath(output[0], strip_suffix=".csv"),
        code=code_hash("taskvectors.audit.cost"),
    shell:
        recorded(
            *("cost", "audit.cost", "measured"),
            benchmarks="params.benchmarks",
            experiment="params.experiment",
            out="params.stem",
        )


# The merged configuration, as it was run.
rule run_config:
    output:
        f"{RESULTS}/run_config.yaml",
    log:
        f"{LOGS}/run_config.log",
    localrule: True
    params:
        merged=json.dumps(config, sort_keys=True, ensure_ascii=False),
        code=code_hash("taskvectors.study.config"),
    shell:
        recorded(*("run_config", "study.config"), merged="params.merged", out="output")
