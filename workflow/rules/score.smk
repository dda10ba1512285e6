# Stage score: test accuracies by both metrics, with intervals.
#
# REQUIRED INPUTS: read/.../baselines.parquet and write/.../test.parquet of all tasks
# OUTPUTS:         results/<experiment>/score/<model>/<template>/accuracy.csv


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
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        datasets=expand(f"{RESULTS}/curate/{{task}}", task=config["tasks"]),
        tasks=config["tasks"],
        resamples=config["bootstrap"]["resamples"],
        seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score"),
    shell:
        "python -m taskvectors.score --predictions {input.baselines} {input.patched} "
        "--datasets {params.datasets} --tasks {params.tasks} --resamples {params.resamples} "
        "--seed {params.seed} --out {output} --log {log}"
