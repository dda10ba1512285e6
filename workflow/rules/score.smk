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
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            "score",
            "python -m taskvectors.score.accuracy --predictions {input.baselines} {input.patched} "
            "--datasets {params.datasets} --tasks {params.tasks} "
            "--resamples {params.bootstrap_resamples} --seed {params.bootstrap_seed} "
            "--out {output} --log {log}",
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
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.conflict"),
    shell:
        recorded(
            "score_conflict",
            "python -m taskvectors.score.conflict --conflicts {input} "
            "--resamples {params.bootstrap_resamples} --seed {params.bootstrap_seed} "
            "--out {output} --log {log}",
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
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.accuracy"),
    shell:
        recorded(
            "score_descriptions",
            "python -m taskvectors.score.accuracy --predictions {input} --tasks {params.tasks} "
            "--resamples {params.bootstrap_resamples} --seed {params.bootstrap_seed} "
            "--out {output} --log {log}",
        )
