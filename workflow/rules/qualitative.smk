# Stage qualitative: what the accuracies do not show. Task conflict, dense descriptions as
# queries, and answers of several tokens for a few items; one job a model.
#
# REQUIRED INPUTS: a model folder, average/ and curate/ of all tasks, score/.../layer.json,
#                  resources/qualitative/descriptions.yaml
# OUTPUTS:         results/<experiment>/qualitative/<model>/<template>/
#                  {conflict.parquet,descriptions.parquet,answers.jsonl}


rule qualitative:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        tasks="resources/tasks.yaml",
        templates="resources/templates.yaml",
        entities=sorted({entity_table(task) for task in config["tasks"]}),
        descriptions="resources/qualitative/descriptions.yaml",
        manifest=manifest(config["images"]["evaluation"]),
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
        queries=expand(f"{RESULTS}/curate/{{task}}/test.jsonl", task=config["tasks"]),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
        vectors=expand(
            f"{RESULTS}/average/{{{{model}}}}/{{{{template}}}}/{{task}}/vectors.safetensors",
            task=config["tasks"],
        ),
        layer=f"{RESULTS}/score/{{model}}/{{template}}/layer.json",
    output:
        conflict=f"{RESULTS}/qualitative/{{model}}/{{template}}/conflict.parquet",
        descriptions=f"{RESULTS}/qualitative/{{model}}/{{template}}/descriptions.parquet",
        answers=f"{RESULTS}/qualitative/{{model}}/{{template}}/answers.jsonl",
    log:
        f"{LOGS}/qualitative/{{model}}/{{template}}.log",
    benchmark:
        f"{BENCHMARKS}/qualitative/{{model}}/{{template}}.jsonl"
    priority: queries
    conda:
        "../../envs/cpu.yaml"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        tasks=config["tasks"],
        specifications=exemplar_specifications,
        seeds=SEEDS,
        exemplars=config["exemplars"],
        out=subpath(output.answers, parent=True),
        code=code_hash("taskvectors.qualitative"),
    shell:
        recorded(
            "qualitative",
            "python -m taskvectors.qualitative --model {input.model} --name {wildcards.model} "
            "--dtype {params.dtype} --tasks {input.tasks} --studied {params.tasks} "
            "--templates {input.templates} --template {wildcards.template} "
            "--specifications {params.specifications} --items {input.queries} "
            "--exemplar-sets {input.exemplars} --vectors {input.vectors} --layer {input.layer} "
            "--entities {input.entities} --manifest {input.manifest} "
            "--descriptions {input.descriptions} --seeds {params.seeds} "
            "--exemplars {params.exemplars} --out {params.out} --log {log}",
        )
