# Stage score: test accuracies by both metrics, with intervals; outcomes of task conflict; what
# residual streams and vectors decode to.
#
# REQUIRED INPUTS: read/.../{activations.safetensors,baselines.parquet} and
#                  write/.../test.parquet of all tasks, average/.../vectors.safetensors,
#                  qualitative/.../{conflict,descriptions}.parquet
# OUTPUTS:         results/<experiment>/score/<model>/<template>/
#                  {accuracy,conflict,descriptions}.csv, <task>/{phases,tops,decodings}.csv

# Options of every bootstrap.
BOOTSTRAP = {"resamples": "params.bootstrap_resamples", "seed": "params.bootstrap_seed"}


rule score:
    input:
        baselines=of_tasks("read", "baselines.parquet"),
        patched=of_tasks("write", "test.parquet"),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/accuracy.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/score.log",
    benchmark:
        f"{BENCHMARKS}/score/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        datasets=expand(f"{RESULTS}/curate/{{task}}", task=config["tasks"]),
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            *("score", "score.accuracy"),
            predictions="input.baselines",
            _patched="input.patched",
            datasets="params.datasets",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )


rule score_conflict:
    input:
        f"{RESULTS}/qualitative/{MODEL_JOB}/conflict.parquet",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/conflict.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/conflict.log",
    benchmark:
        f"{BENCHMARKS}/score_conflict/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.conflict"),
    shell:
        recorded(
            *("score_conflict", "score.conflict"),
            conflicts="input",
            **BOOTSTRAP,
            out="output",
        )


rule score_descriptions:
    input:
        f"{RESULTS}/qualitative/{MODEL_JOB}/descriptions.parquet",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/descriptions.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/descriptions.log",
    benchmark:
        f"{BENCHMARKS}/score_descriptions/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            *("score_descriptions", "score.accuracy"),
            predictions="input",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )


# What the residual stream decodes to at every layer, for Table 2 and Figures 3 and 4.
rule decode:
    input:
        activations=f"{RESULTS}/read/{TASK_JOB}/activations.safetensors",
        baselines=f"{RESULTS}/read/{TASK_JOB}/baselines.parquet",
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
        model=model_folder,
        tasks=ancient("resources/tasks.yaml"),  # its words that count are a param
    output:
        phases=f"{RESULTS}/score/{TASK_JOB}/phases.csv",
        tops=f"{RESULTS}/score/{TASK_JOB}/tops.csv",
        decodings=f"{RESULTS}/score/{TASK_JOB}/decodings.csv",
    log:
        f"{LOGS}/score/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/decode/{TASK_JOB}.jsonl"
    cache: CACHING
    resources:
        **GPU_JOB,
    params:
        out=subpath(output.tops, parent=True),
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        tokens=lambda wildcards: json.dumps(TASKS[wildcards.task].tokens, sort_keys=True),
        key=cache_key,
        code=code_hash("taskvectors.score.decode"),
    shell:
        recorded(
            *("decode", "score.decode", "tokens"),
            **MODEL,
            activations="input.activations",
            vectors="input.vectors",
            baselines="input.baselines",
            tasks="input.tasks",
            task="wildcards.task",
            out="params.out",
        )
