# Stage compute: seconds and memory a query, prompted and patched, on the first task. Only where
# `compute` is true; on another machine they are others.
#
# REQUIRED INPUTS: a model folder, curate/<task>/, average/.../vectors.safetensors,
#                  score/.../layer.json
# OUTPUTS:         results/<experiment>/compute/<model>/<template>/costs.csv

MEASURED = config["tasks"][0]


rule compute:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{MEASURED}/test.jsonl",
        shown=f"{RESULTS}/curate/{MEASURED}/validation.jsonl",
        images=ancient(PLAN.images.images(TASKS[MEASURED].entity_set)),
        descriptions="resources/qualitative/descriptions.yaml",
        vectors=f"{RESULTS}/average/{MODEL_JOB}/{MEASURED}/vectors.safetensors",
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/compute/{MODEL_JOB}/costs.csv",
    log:
        f"{LOGS}/compute/{MODEL_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/compute/{MODEL_JOB}.jsonl"
    # Alone on the machine, which is what is measured; --unlock is given no cores.
    threads: workflow.resource_settings.cores or 1
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        entity_set=TASKS[MEASURED].entity_set,
        code=code_hash("taskvectors.compute"),
    shell:
        recorded(
            *("compute", "compute"),
            **MODEL,
            **TEMPLATE,
            items="input.queries",
            shown="input.shown",
            entity_set="params.entity_set",
            descriptions="input.descriptions",
            vectors="input.vectors",
            layer="input.layer",
            out="output",
        )
