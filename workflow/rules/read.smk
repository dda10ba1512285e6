# Stage read: activations at the delimiters, and the prompting baselines from the same passes.
#
# REQUIRED INPUTS: a model folder, curate/<task>/
# OUTPUTS:         results/<experiment>/read/<model>/<template>/<task>/
#                  {activations.safetensors,activations.json,baselines.parquet}, and with `heads`
#                  heads.safetensors

HEADS = f"{RESULTS}/read/{TASK_JOB}/heads.safetensors"


rule read:
    input:
        model=model_folder,
        tasks=ancient("resources/tasks.yaml"),  # its one line that counts is a param
        templates="resources/templates.yaml",
        validation=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        test=f"{RESULTS}/curate/{{task}}/test.jsonl",
        exemplars=f"{RESULTS}/curate/{{task}}/exemplars.jsonl",
        first_tokens=f"{RESULTS}/curate/first_tokens/{TASK_JOB}.csv",  # counted before a model runs
        images=task_images,
    output:
        **({"heads": HEADS} if config["heads"] else {}),
        activations=f"{RESULTS}/read/{TASK_JOB}/activations.safetensors",
        sidecar=f"{RESULTS}/read/{TASK_JOB}/activations.json",
        baselines=f"{RESULTS}/read/{TASK_JOB}/baselines.parquet",
    log:
        f"{LOGS}/read/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/read/{TASK_JOB}.jsonl"
    cache: CACHING
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dataset=subpath(input.test, parent=True),
        out=subpath(output.sidecar, parent=True),
        specifications=lambda wildcards: PLAN.specifications(wildcards.model),
        instruction=lambda wildcards: TASKS[wildcards.task].instruction,
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        options=["--heads"] if config["heads"] else [],
        key=cache_key,
        code=code_hash("taskvectors.read"),
    shell:
        recorded(
            *("read", "read", "instruction"),
            **MODEL,
            **TEMPLATE,
            tasks="input.tasks",
            task="wildcards.task",
            specifications="params.specifications",
            dataset="params.dataset",
            _options="params.options",
            out="params.out",
        )
