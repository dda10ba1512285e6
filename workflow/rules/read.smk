# Stage read: activations at the delimiters, and the prompting baselines from the same passes.
#
# REQUIRED INPUTS: a model folder, curate/<task>/
# OUTPUTS:         results/<experiment>/read/<model>/<template>/<task>/
#                  {activations.safetensors,activations.json,baselines.parquet}


rule read:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        tasks=ancient("resources/tasks.yaml"),  # its one line that counts is a param
        templates="resources/templates.yaml",
        validation=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        test=f"{RESULTS}/curate/{{task}}/test.jsonl",
        exemplars=f"{RESULTS}/curate/{{task}}/exemplars.jsonl",
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
    output:
        activations=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/activations.safetensors",
        sidecar=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/activations.json",
        baselines=f"{RESULTS}/read/{{model}}/{{template}}/{{task}}/baselines.parquet",
    log:
        f"{LOGS}/read/{{model}}/{{template}}/{{task}}.log",
    benchmark:
        f"{BENCHMARKS}/read/{{model}}/{{template}}/{{task}}.jsonl"
    cache: CACHING
    priority: queries
    conda:
        "../../envs/cpu.yaml"
    resources:
        **GPU_JOB,
    params:
        dataset=subpath(input.test, parent=True),
        out=subpath(output.sidecar, parent=True),
        specifications=exemplar_specifications,
        instruction=lambda wildcards: TASKS[wildcards.task].instruction,
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        key=cache_key,
        code=code_hash("taskvectors.read"),
    shell:
        recorded(
            "read",
            "python -m taskvectors.read --model {input.model} --name {wildcards.model} "
            "--dtype {params.dtype} --tasks {input.tasks} --task {wildcards.task} "
            "--templates {input.templates} --template {wildcards.template} "
            "--specifications {params.specifications} --dataset {params.dataset} "
            "--out {params.out} --log {log}",
            "instruction",
        )
