# Stage curate: a dataset per task and split, its exemplar sets, and a log of decisions.
#
# REQUIRED INPUTS: resources/tasks.yaml, an entity table, a manifest of images
# OUTPUTS:         results/<experiment>/curate/<task>/{validation,test,exemplars,decisions}.jsonl
#                  and to look at: curate/contact_sheets/<entity set>.png,
#                  curate/near_duplicates.csv, curate/label_audit.csv; curate/croissant.json


rule curate:
    input:
        tasks=ancient("resources/tasks.yaml"),  # its one line that counts is a param
        entities=lambda wildcards: ancient(entity_table(wildcards.task)),  # what counts is a param
        dropped="resources/entities/dropped.csv",
        # The manifest has the hash of every image: when it is unchanged, so are they.
        manifest=manifest(config["images"]["evaluation"]),
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
    output:
        validation=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        test=f"{RESULTS}/curate/{{task}}/test.jsonl",
        exemplars=f"{RESULTS}/curate/{{task}}/exemplars.jsonl",
        decisions=f"{RESULTS}/curate/{{task}}/decisions.jsonl",
    log:
        f"{LOGS}/curate/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/curate/{{task}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        out=subpath(output.test, parent=True),
        validation=lambda wildcards: config["splits"][TASKS[wildcards.task].entity_set][
            "validation"
        ],
        test=lambda wildcards: config["splits"][TASKS[wildcards.task].entity_set]["test"],
        label=lambda wildcards: TASKS[wildcards.task].label,
        labels=labels_digest,
        split_seed=config["split_seed"],
        seeds=SEEDS,
        exemplars=config["exemplars"],
        images_evaluation=config["images"]["evaluation"],
        code=code_hash("taskvectors.curate"),
    shell:
        recorded(
            "curate",
            "python -m taskvectors.curate --tasks {input.tasks} --task {wildcards.task} "
            "--entities {input.entities} --dropped {input.dropped} --manifest {input.manifest} "
            "--validation {params.validation} --test {params.test} "
            "--split-seed {params.split_seed} --seeds {params.seeds} "
            "--exemplars {params.exemplars} --out {params.out} --log {log}",
            "label",
            "labels",
            "images_evaluation",
        )


# All images with their labels, one sheet per entity set, and images that look alike.
rule contact_sheets:
    input:
        [f"{RESULTS}/curate/contact_sheets/{name}.png" for name in ENTITY_SETS],
        f"{RESULTS}/curate/near_duplicates.csv",


rule contact_sheet:
    input:
        entities="resources/entities/{entity_set}.csv",
        manifest=manifest(config["images"]["evaluation"]),
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
    output:
        f"{RESULTS}/curate/contact_sheets/{{entity_set}}.png",
    log:
        f"{LOGS}/curate/contact_sheets/{{entity_set}}.log",
    benchmark:
        f"{BENCHMARKS}/contact_sheet/{{entity_set}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        images_evaluation=config["images"]["evaluation"],
        code=code_hash("taskvectors.curate.sheets"),
    shell:
        recorded(
            "contact_sheet",
            "python -m taskvectors.curate.sheets --entities {input.entities} "
            "--manifest {input.manifest} --out {output} --log {log}",
            "images_evaluation",
        )


rule near_duplicates:
    input:
        manifest=manifest(config["images"]["evaluation"]),
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
    output:
        f"{RESULTS}/curate/near_duplicates.csv",
    log:
        f"{LOGS}/curate/near_duplicates.log",
    benchmark:
        f"{BENCHMARKS}/near_duplicates/all.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        images_evaluation=config["images"]["evaluation"],
        code=code_hash("taskvectors.curate.duplicates"),
    shell:
        recorded(
            "near_duplicates",
            "python -m taskvectors.curate.duplicates --manifest {input.manifest} "
            "--out {output} --log {log}",
            "images_evaluation",
        )


# Our labels beside Wikipedia's infoboxes; needs wikipedia.contact, whatever the images are.
rule label_audit:
    input:
        entities=ENTITY_TABLES,
        infoboxes=f"{RESULTS}/collect/wikipedia/infoboxes.csv",
    output:
        f"{RESULTS}/curate/label_audit.csv",
    log:
        f"{LOGS}/curate/label_audit.log",
    benchmark:
        f"{BENCHMARKS}/label_audit/all.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        code=code_hash("taskvectors.curate.audit"),
    shell:
        recorded(
            "label_audit",
            "python -m taskvectors.curate.audit --entities {input.entities} "
            "--infoboxes {input.infoboxes} --out {output} --log {log}",
        )


rule croissant:
    input:
        DATASETS,
    output:
        f"{RESULTS}/curate/croissant.json",
    log:
        f"{LOGS}/curate/croissant.log",
    benchmark:
        f"{BENCHMARKS}/croissant/all.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        experiment=config["experiment"],
        tasks=config["tasks"],
        code=code_hash("taskvectors.curate.croissant"),
    shell:
        recorded(
            "croissant",
            "python -m taskvectors.curate.croissant --name {params.experiment} --items {input} "
            "--out {output} --log {log}",
            "tasks",
        )
