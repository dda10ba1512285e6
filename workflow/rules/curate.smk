# Stage curate: a dataset per task and split, its exemplar sets, and a log of decisions.
#
# REQUIRED INPUTS: resources/tasks.yaml, an entity table, a manifest of images
# OUTPUTS:         results/<experiment>/curate/<task>/{validation,test,exemplars,decisions}.jsonl
#                  and to look at: curate/contact_sheets/<entity set>.png,
#                  curate/near_duplicates.csv, curate/label_audit.csv;
#                  curate/croissant.json and what it describes, curate/items_parquet/;
#                  and before a model runs curate/first_tokens/<model>/<template>/<task>.csv


# What stands in text prompts in place of names.
DESCRIPTIONS = {
    "names": [],
    "descriptions": ["resources/qualitative/descriptions.yaml"],
    "captions": [f"{RESULTS}/describe/{config['captioner']}/descriptions.yaml"],
}[config["texts"]]


rule curate:
    input:
        tasks=ancient("resources/tasks.yaml"),  # its one line that counts is a param
        # What counts of the table is a param, too.
        entities=lambda wildcards: ancient(PLAN.entity_table(wildcards.task)),
        dropped="resources/entities/dropped.csv",
        manifest=lambda wildcards: PLAN.images.manifest(TASKS[wildcards.task].entity_set),
        images=task_images,
        descriptions=DESCRIPTIONS,
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
    params:
        out=subpath(output.test, parent=True),
        validation=lambda wildcards: PLAN.sizes(wildcards.task)["validation"],
        test=lambda wildcards: PLAN.sizes(wildcards.task)["test"],
        label=lambda wildcards: TASKS[wildcards.task].label,
        labels=lambda wildcards: PLAN.labels_digest(wildcards.task),
        split_seed=config["split_seed"],
        seeds=config["seeds"],
        exemplars=config["exemplars"],
        texts=config["texts"],
        options=["--descriptions", *DESCRIPTIONS] if DESCRIPTIONS else [],
        rendering=lambda wildcards: PLAN.images.rendering(TASKS[wildcards.task].entity_set),
        code=code_hash("taskvectors.curate"),
    shell:
        recorded(
            *("curate", "curate", "label", "labels", "rendering", "texts"),
            tasks="input.tasks",
            task="wildcards.task",
            entities="input.entities",
            dropped="input.dropped",
            manifest="input.manifest",
            validation="params.validation",
            test="params.test",
            split_seed="params.split_seed",
            seeds="params.seeds",
            exemplars="params.exemplars",
            _options="params.options",
            out="params.out",
        )


# What first tokens cannot tell of the labels, counted with the model's tokenizer alone.
rule first_tokens:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        splits=[f"{RESULTS}/curate/{{task}}/{split}.jsonl" for split in ("validation", "test")],
    output:
        f"{RESULTS}/curate/first_tokens/{TASK_JOB}.csv",
    log:
        f"{LOGS}/curate/first_tokens/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/first_tokens/{TASK_JOB}.jsonl"
    localrule: True
    params:
        code=code_hash("taskvectors.curate.first_tokens"),
    shell:
        recorded(
            *("first_tokens", "curate.first_tokens"),
            model="input.model",
            name="wildcards.model",
            **TEMPLATE,
            task="wildcards.task",
            splits="input.splits",
            out="output",
        )


# All images with their labels, one sheet per entity set, and images that look alike.
rule contact_sheets:
    input:
        [f"{RESULTS}/curate/contact_sheets/{name}.png" for name in PLAN.entity_sets],
        f"{RESULTS}/curate/near_duplicates.csv",


rule contact_sheet:
    input:
        entities=lambda wildcards: PLAN.images.table(wildcards.entity_set),
        manifest=lambda wildcards: PLAN.images.manifest(wildcards.entity_set),
        images=lambda wildcards: ancient(PLAN.images.images(wildcards.entity_set)),
    output:
        f"{RESULTS}/curate/contact_sheets/{{entity_set}}.png",
    log:
        f"{LOGS}/curate/contact_sheets/{{entity_set}}.log",
    benchmark:
        f"{BENCHMARKS}/contact_sheet/{{entity_set}}.jsonl"
    localrule: True
    params:
        code=code_hash("taskvectors.curate.sheets"),
    shell:
        recorded(
            *("contact_sheet", "curate.sheets"),
            entities="input.entities",
            manifest="input.manifest",
            out="output",
        )


rule near_duplicates:
    input:
        manifests=PLAN.images.manifests(PLAN.entity_sets),
        images=ancient(IMAGES),
    output:
        f"{RESULTS}/curate/near_duplicates.csv",
    log:
        f"{LOGS}/curate/near_duplicates.log",
    benchmark:
        f"{BENCHMARKS}/near_duplicates/all.jsonl"
    localrule: True
    params:
        code=code_hash("taskvectors.curate.duplicates"),
    shell:
        recorded(
            *("near_duplicates", "curate.duplicates"),
            manifests="input.manifests",
            out="output",
        )


# Our labels beside Wikipedia's infoboxes; needs wikipedia.contact, whatever the images are.
rule label_audit:
    input:
        entities=[PLAN.images.table(name) for name in OF_WIKIPEDIA],
        infoboxes=f"{RESULTS}/collect/wikipedia/infoboxes.csv",
    output:
        f"{RESULTS}/curate/label_audit.csv",
    log:
        f"{LOGS}/curate/label_audit.log",
    benchmark:
        f"{BENCHMARKS}/label_audit/all.jsonl"
    localrule: True
    params:
        code=code_hash("taskvectors.curate.label_audit"),
    shell:
        recorded(
            *("label_audit", "curate.label_audit"),
            entities="input.entities",
            infoboxes="input.infoboxes",
            out="output",
        )


rule croissant:
    input:
        PLAN.datasets,
    output:
        description=f"{RESULTS}/curate/croissant.json",
        copies=directory(f"{RESULTS}/curate/items_parquet"),
    log:
        f"{LOGS}/curate/croissant.log",
    benchmark:
        f"{BENCHMARKS}/croissant/all.jsonl"
    localrule: True
    params:
        experiment=config["experiment"],
        tasks=config["tasks"],
        code=code_hash("taskvectors.curate.croissant"),
    shell:
        recorded(
            *("croissant", "curate.croissant", "tasks"),
            name="params.experiment",
            items="input",
            copies="output.copies",
            out="output.description",
        )
