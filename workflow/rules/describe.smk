# Stage describe: a model's descriptions of the images, which stand in text prompts where `texts` is
# `captions`.
#
# REQUIRED INPUTS: a model folder, manifests of images, entity tables, resources/tasks.yaml
# OUTPUTS:         results/<experiment>/describe/<model>/{descriptions.yaml,written.jsonl}


rule describe:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        tasks=ancient("resources/tasks.yaml"),  # what counts of it is a param
        entities=[ancient(PLAN.entity_table(task)) for task in config["tasks"]],
        manifests=PLAN.images.manifests(PLAN.entity_sets),
        images=[ancient(folder) for folder in PLAN.images.folders(PLAN.entity_sets)],
    output:
        descriptions=f"{RESULTS}/describe/{{model}}/descriptions.yaml",
        written=f"{RESULTS}/describe/{{model}}/written.jsonl",
    log:
        f"{LOGS}/describe/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/describe/{{model}}.jsonl"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        tasks=config["tasks"],
        labels=[PLAN.labels_digest(task) for task in config["tasks"]],
        out=subpath(output.written, parent=True),
        code=code_hash("taskvectors.describe"),
    shell:
        recorded(
            *("describe", "describe", "labels"),
            **MODEL,
            templates="input.templates",
            tasks="input.tasks",
            studied="params.tasks",
            entities="input.entities",
            manifests="input.manifests",
            out="params.out",
        )
