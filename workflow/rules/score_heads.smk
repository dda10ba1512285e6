# Stage score of function vectors: which heads carry tasks, where and how strongly vectors are
# added, and what that earns. Nothing asks for it where `heads` is false.
#
# REQUIRED INPUTS: heads/.../{effects,validation,test}.parquet, read/.../baselines.parquet and
#                  write/.../test.parquet of all tasks
# OUTPUTS:         results/<experiment>/score/<model>/<template>/
#                  {heads,overlap,by_strength,function_vectors}.csv
#                  results/<experiment>/score/<model>/<template>/injection.json


# What every head does, and whether text and images single out the same ones.
rule score_heads:
    input:
        of_tasks("heads", "effects.parquet"),
    output:
        heads=f"{RESULTS}/score/{MODEL_JOB}/heads.csv",
        overlap=f"{RESULTS}/score/{MODEL_JOB}/overlap.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/heads.log",
    benchmark:
        f"{BENCHMARKS}/score_heads/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        function_vectors_heads=config["function_vectors"]["heads"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        out=subpath(output.heads, parent=True),
        code=code_hash("taskvectors.score.heads"),
    shell:
        recorded(
            *("score_heads", "score.heads"),
            effects="input",
            tasks="params.tasks",
            top="params.function_vectors_heads",
            **BOOTSTRAP,
            out="params.out",
        )


rule choose_injection:
    input:
        of_tasks("heads", "validation.parquet"),
    output:
        injection=f"{RESULTS}/score/{MODEL_JOB}/injection.json",
        by_strength=f"{RESULTS}/score/{MODEL_JOB}/by_strength.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/choose_injection.log",
    benchmark:
        f"{BENCHMARKS}/choose_injection/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        out=subpath(output.injection, parent=True),
        code=code_hash("taskvectors.score.strength"),
    shell:
        recorded(
            *("choose_injection", "score.strength"),
            predictions="input",
            tasks="params.tasks",
            out="params.out",
        )


# What vectors that are added earn, beside those that are put in place and prompting.
rule score_function_vectors:
    input:
        answers_of_tasks,
        of_tasks("heads", "test.parquet"),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/function_vectors.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/function_vectors.log",
    benchmark:
        f"{BENCHMARKS}/score_function_vectors/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            *("score_function_vectors", "score.accuracy"),
            predictions="input",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )
