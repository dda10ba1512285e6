# Stage qualitative: what the accuracies do not show. Task conflict, dense descriptions as
# queries, and answers of several tokens for a few items; one job a model.
#
# REQUIRED INPUTS: a model folder, average/ and curate/ of all tasks, score/.../layer.json,
#                  resources/qualitative/descriptions.yaml
# OUTPUTS:         results/<experiment>/qualitative/<model>/<template>/
#                  {conflict.parquet,descriptions.parquet,answers.jsonl}


rule qualitative:
    input:
        model=model_folder,
        tasks=ancient("resources/tasks.yaml"),  # its lines that count are a param
        templates="resources/templates.yaml",
        # What counts of these is a param, too.
        entities=ancient([PLAN.images.table(name) for name in PLAN.entity_sets]),
        descriptions="resources/qualitative/descriptions.yaml",
        manifests=PLAN.images.manifests(PLAN.entity_sets),
        images=ancient(IMAGES),
        queries=expand(f"{RESULTS}/curate/{{task}}/test.jsonl", task=config["tasks"]),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
        vectors=of_tasks("average", "vectors.safetensors"),
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        conflict=f"{RESULTS}/qualitative/{MODEL_JOB}/conflict.parquet",
        descriptions=f"{RESULTS}/qualitative/{MODEL_JOB}/descriptions.parquet",
        answers=f"{RESULTS}/qualitative/{MODEL_JOB}/answers.jsonl",
    log:
        f"{LOGS}/qualitative/{MODEL_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/qualitative/{MODEL_JOB}.jsonl"
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        tasks=config["tasks"],
        specifications=lambda wildcards: PLAN.specifications(wildcards.model),
        seeds=config["seeds"],
        exemplars=config["exemplars"],
        definitions=PLAN.definitions(),
        labels=[PLAN.labels_digest(task) for task in config["tasks"]],
        out=subpath(output.answers, parent=True),
        code=code_hash("taskvectors.qualitative"),
    shell:
        recorded(
            *("qualitative", "qualitative", "definitions", "labels"),
            **MODEL,
            **TEMPLATE,
            tasks="input.tasks",
            studied="params.tasks",
            specifications="params.specifications",
            items="input.queries",
            exemplar_sets="input.exemplars",
            vectors="input.vectors",
            layer="input.layer",
            entities="input.entities",
            manifests="input.manifests",
            descriptions="input.descriptions",
            seeds="params.seeds",
            exemplars="params.exemplars",
            out="params.out",
        )
