# Stage write: task vectors patched into queries. On validation every layer is patched; the
# best one is chosen over all tasks; on test only that layer is patched.
#
# REQUIRED INPUTS: a model folder, average/.../vectors.safetensors, curate/<task>/<split>.jsonl
# OUTPUTS:         results/<experiment>/write/<model>/<template>/<task>/{validation,test}.parquet
#                  results/<experiment>/score/<model>/<template>/{layer.json,by_layer.csv}

WRITE = (
    "python -m taskvectors.write --model {input.model} --name {wildcards.model} "
    "--dtype {params.dtype} --task {wildcards.task} --templates {input.templates} "
    "--template {wildcards.template} --items {input.queries} --vectors {input.vectors} "
    "--out {output} --log {log} "
)


rule write_validation:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
        vectors=f"{RESULTS}/average/{{model}}/{{template}}/{{task}}/vectors.safetensors",
    output:
        f"{RESULTS}/write/{{model}}/{{template}}/{{task}}/validation.parquet",
    log:
        f"{LOGS}/write/{{model}}/{{template}}/{{task}}/validation.log",
    benchmark:
        f"{BENCHMARKS}/write_validation/{{model}}/{{template}}/{{task}}.jsonl"
    cache: CACHING
    priority: queries
    conda:
        "../../envs/cpu.yaml"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        key=cache_key,
        code=code_hash("taskvectors.write"),
    shell:
        recorded("write_validation", WRITE)


rule choose_layer:
    input:
        expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/validation.parquet",
            task=config["tasks"],
        ),
    output:
        layer=f"{RESULTS}/score/{{model}}/{{template}}/layer.json",
        by_layer=f"{RESULTS}/score/{{model}}/{{template}}/by_layer.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/choose.log",
    benchmark:
        f"{BENCHMARKS}/choose_layer/{{model}}/{{template}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        out=subpath(output.layer, parent=True),
        code=code_hash("taskvectors.score.layer"),
    shell:
        recorded(
            "choose_layer",
            "python -m taskvectors.score.layer --predictions {input} --tasks {params.tasks} "
            "--out {params.out} --log {log}",
        )


rule write_test:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
        vectors=f"{RESULTS}/average/{{model}}/{{template}}/{{task}}/vectors.safetensors",
        layer=f"{RESULTS}/score/{{model}}/{{template}}/layer.json",
    output:
        f"{RESULTS}/write/{{model}}/{{template}}/{{task}}/test.parquet",
    log:
        f"{LOGS}/write/{{model}}/{{template}}/{{task}}/test.log",
    benchmark:
        f"{BENCHMARKS}/write_test/{{model}}/{{template}}/{{task}}.jsonl"
    cache: CACHING
    priority: queries
    conda:
        "../../envs/cpu.yaml"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        key=cache_key,
        code=code_hash("taskvectors.write"),
    shell:
        recorded("write_test", WRITE + "--layer {input.layer}")
