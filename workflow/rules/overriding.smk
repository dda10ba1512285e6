# Stage overriding: prompts that ask one thing while a vector, or a system prompt, asks another. Only
# where `overriding` is true.
#
# REQUIRED INPUTS: resources/qualitative/conflicts.yaml, two model folders, score/.../layer.json
# OUTPUTS:         results/<experiment>/overriding/<model>/<template>/
#                  {answers,verdicts,known}.jsonl
#                  results/<experiment>/score/<model>/<template>/overriding.csv


rule overriding:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        conflicts="resources/qualitative/conflicts.yaml",
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/overriding/{MODEL_JOB}/answers.jsonl",
    log:
        f"{LOGS}/overriding/{MODEL_JOB}/answers.log",
    benchmark:
        f"{BENCHMARKS}/overriding/{MODEL_JOB}.jsonl"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        code=code_hash("taskvectors.overriding"),
    shell:
        recorded(
            *("overriding", "overriding"),
            **MODEL,
            **TEMPLATE,
            conflicts="input.conflicts",
            layer="input.layer",
            out="output",
        )


rule judge:
    input:
        model=PLAN.model_folder(config["judge"]),
        templates="resources/templates.yaml",
        answers=f"{RESULTS}/overriding/{MODEL_JOB}/answers.jsonl",
    output:
        verdicts=f"{RESULTS}/overriding/{MODEL_JOB}/verdicts.jsonl",
        known=f"{RESULTS}/overriding/{MODEL_JOB}/known.jsonl",
    log:
        f"{LOGS}/overriding/{MODEL_JOB}/judge.log",
    benchmark:
        f"{BENCHMARKS}/judge/{MODEL_JOB}.jsonl"
    resources:
        gpu=SOURCES[config["judge"]].gpus,
        mem_mb=lambda wildcards, attempt: PLAN.memory(config["judge"], attempt),
        runtime=lambda wildcards, attempt: PLAN.runtime(config["judge"], attempt),
    params:
        judge=config["judge"],
        dtype=SOURCES[config["judge"]].dtype,
        out=subpath(output.known, parent=True),
        code=code_hash("taskvectors.overriding.judge"),
    shell:
        recorded(
            *("judge", "overriding.judge"),
            model="input.model",
            name="params.judge",
            dtype="params.dtype",
            templates="input.templates",
            answers="input.answers",
            out="params.out",
        )


rule score_overriding:
    input:
        verdicts=f"{RESULTS}/overriding/{MODEL_JOB}/verdicts.jsonl",
        known=f"{RESULTS}/overriding/{MODEL_JOB}/known.jsonl",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/overriding.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/overriding.log",
    benchmark:
        f"{BENCHMARKS}/score_overriding/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.overriding"),
    shell:
        recorded(
            *("score_overriding", "score.overriding"),
            verdicts="input.verdicts",
            known="input.known",
            **BOOTSTRAP,
            out="output",
        )
