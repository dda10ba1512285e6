# Stage write: task vectors patched into queries. On validation every layer is patched; the
# best one is chosen over all tasks; on test only that layer is patched.
#
# REQUIRED INPUTS: a model folder, average/.../vectors.safetensors, curate/<task>/<split>.jsonl
# OUTPUTS:         results/<experiment>/write/<model>/<template>/<task>/{validation,test}.parquet
#                  results/<experiment>/score/<model>/<template>/{layer.json,by_layer.csv}

WRITE = {
    **MODEL,
    **TEMPLATE,
    "task": "wildcards.task",
    "items": "input.queries",
    "vectors": "input.vectors",
    "out": "output",
}


rule write_validation:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        images=task_images,
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
    output:
        f"{RESULTS}/write/{TASK_JOB}/validation.parquet",
    log:
        f"{LOGS}/write/{TASK_JOB}/validation.log",
    benchmark:
        f"{BENCHMARKS}/write_validation/{TASK_JOB}.jsonl"
    cache: CACHING
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        key=cache_key,
        code=code_hash("taskvectors.write"),
    shell:
        recorded("write_validation", "write", **WRITE)


rule choose_layer:
    input:
        of_tasks("write", "validation.parquet"),
    output:
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
        by_layer=f"{RESULTS}/score/{MODEL_JOB}/by_layer.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/choose.log",
    benchmark:
        f"{BENCHMARKS}/choose_layer/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        out=subpath(output.layer, parent=True),
        code=code_hash("taskvectors.score.layer"),
    shell:
        recorded(
            *("choose_layer", "score.layer"),
            predictions="input",
            tasks="params.tasks",
            out="params.out",
        )


rule write_test:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        images=task_images,
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/write/{TASK_JOB}/test.parquet",
    log:
        f"{LOGS}/write/{TASK_JOB}/test.log",
    benchmark:
        f"{BENCHMARKS}/write_test/{TASK_JOB}.jsonl"
    cache: CACHING
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        key=cache_key,
        code=code_hash("taskvectors.write"),
    shell:
        recorded("write_test", "write", **WRITE, layer="input.layer")
