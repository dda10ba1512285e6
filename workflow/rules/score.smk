# Stage score: test accuracies by both metrics, with intervals; outcomes of task conflict.
#
# REQUIRED INPUTS: read/.../baselines.parquet and write/.../test.parquet of all tasks,
#                  qualitative/.../{conflict,descriptions}.parquet
# OUTPUTS:         results/<experiment>/score/<model>/<template>/
#                  {accuracy,conflict,descriptions}.csv


rule score:
    input:
        baselines=expand(
            f"{RESULTS}/read/{{{{model}}}}/{{{{template}}}}/{{task}}/baselines.parquet",
            task=config["tasks"],
        ),
        patched=expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/test.parquet",
            task=config["tasks"],
        ),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/accuracy.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/score.log",
    benchmark:
        f"{BENCHMARKS}/score/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        datasets=expand(f"{RESULTS}/curate/{{task}}", task=config["tasks"]),
        tasks=config["tasks"],
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            "score",
            "python -m taskvectors.score.accuracy --predictions {input.baselines} {input.patched} "
            "--datasets {params.datasets} --tasks {params.tasks} --resamples {params.resamples} "
            "--seed {params.seed} --out {output} --log {log}",
        )


rule score_conflict:
    input:
        f"{RESULTS}/qualitative/{{model}}/{{template}}/conflict.parquet",
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/conflict.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/conflict.log",
    benchmark:
        f"{BENCHMARKS}/score_conflict/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.conflict"),
    shell:
        recorded(
            "score_conflict",
            "python -m taskvectors.score.conflict --conflicts {input} --resamples {params.resamples} "
            "--seed {params.seed} --out {output} --log {log}",
        )


rule score_descriptions:
    input:
        f"{RESULTS}/qualitative/{{model}}/{{template}}/descriptions.parquet",
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/descriptions.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/descriptions.log",
    benchmark:
        f"{BENCHMARKS}/score_descriptions/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            "score_descriptions",
            "python -m taskvectors.score.accuracy --predictions {input} --tasks {params.tasks} "
            "--resamples {params.resamples} --seed {params.seed} --out {output} --log {log}",
        )


# What the residual stream decodes to at every layer, for Table 2 and Figures 3 and 4.
rule decode:
    input:
        activations=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/activations.safetensors",
        baselines=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/baselines.parquet",
        vectors=f"{RESULTS}/average/{{model}}/{{template}}/{{task}}/vectors.safetensors",
        model=lambda wildcards: model_folder(wildcards.model),
        tasks=ancient("resources/tasks.yaml"),  # its words that count are a param
    output:
        phases=f"{RESULTS}/score/{{model}}/{{template}}/{{task}}/phases.csv",
        tops=f"{RESULTS}/score/{{model}}/{{template}}/{{task}}/tops.csv",
        decodings=f"{RESULTS}/score/{{model}}/{{template}}/{{task}}/decodings.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/decode/{{model}}/{{template}}/{{task}}.jsonl"
    cache: CACHING
    conda:
        "../../envs/cpu.yaml"
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
            "decode",
            "python -m taskvectors.score.decode --model {input.model} --name {wildcards.model} "
            "--dtype {params.dtype} --activations {input.activations} --vectors {input.vectors} "
            "--baselines {input.baselines} --tasks {input.tasks} --task {wildcards.task} "
            "--out {params.out} --log {log}",
            "tokens",
        )
