# Stage curate: a dataset per task and split, its exemplar sets, and a log of decisions.
#
# REQUIRED INPUTS: resources/tasks.yaml, an entity table, a manifest of pictures
# OUTPUTS:         results/<experiment>/curate/<task>/{validation,test,exemplars,decisions}.jsonl


rule curate:
    input:
        tasks="resources/tasks.yaml",
        entities=lambda wildcards: entity_table(wildcards.task),
        manifest=manifest(config["pictures"]["evaluation"]),
        pictures=f"{RESULTS}/collect/{config['pictures']['evaluation']}/pictures",
    output:
        validation=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        test=f"{RESULTS}/curate/{{task}}/test.jsonl",
        exemplars=f"{RESULTS}/curate/{{task}}/exemplars.jsonl",
        decisions=f"{RESULTS}/curate/{{task}}/decisions.jsonl",
    log:
        f"{LOGS}/curate/{{task}}.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        out=subpath(output.test, parent=True),
        validation=lambda wildcards: config["splits"][TASKS[wildcards.task].entity_set][
            "validation"
        ],
        test=lambda wildcards: config["splits"][TASKS[wildcards.task].entity_set]["test"],
        split_seed=config["split_seed"],
        seeds=SEEDS,
        exemplars=config["exemplars"],
        code=code_hash("taskvectors.curate"),
    shell:
        "python -m taskvectors.curate --tasks {input.tasks} --task {wildcards.task} "
        "--entities {input.entities} --manifest {input.manifest} "
        "--validation {params.validation} --test {params.test} "
        "--split-seed {params.split_seed} --seeds {params.seeds} "
        "--exemplars {params.exemplars} --out {params.out} --log {log}"
