# Stages write and score once more, with the task vectors of a VLM's language model in
# the VLM's queries (paper, section 3.1). On validation every layer is patched; on test only the
# layer that the VLM's own vectors chose.
#
# REQUIRED INPUTS: as write.smk and score.smk, with average/<language_model>/.../vectors.safetensors
# OUTPUTS:         results/<experiment>/write/<model>/<template>/<task>/from_<language_model>/
#                  {validation,test}.parquet
#                  results/<experiment>/score/<model>/<template>/from_<language_model>/
#                  {layer.json,by_layer.csv,accuracy.csv,similarity.csv}


use rule write_validation as transfer_validation with:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
        vectors=f"{RESULTS}/average/{{language_model}}/{{template}}/{{task}}/vectors.safetensors",
    output:
        f"{RESULTS}/write/{{model}}/{{template}}/{{task}}/from_{{language_model}}/validation.parquet",
    log:
        f"{LOGS}/write/{{model}}/{{template}}/{{task}}/from_{{language_model}}/validation.log",
    benchmark:
        f"{BENCHMARKS}/transfer_validation/{{model}}/{{template}}/{{task}}/from_{{language_model}}.jsonl"


use rule choose_layer as choose_transfer_layer with:
    input:
        expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/from_{{{{language_model}}}}/"
            "validation.parquet",
            task=config["tasks"],
        ),
    output:
        layer=f"{RESULTS}/score/{{model}}/{{template}}/from_{{language_model}}/layer.json",
        by_layer=f"{RESULTS}/score/{{model}}/{{template}}/from_{{language_model}}/by_layer.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/from_{{language_model}}/choose.log",
    benchmark:
        f"{BENCHMARKS}/choose_transfer_layer/{{model}}/{{template}}/from_{{language_model}}.jsonl"


use rule write_test as transfer_test with:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        images=ancient(f"{RESULTS}/collect/{config['images']['evaluation']}/images"),
        vectors=f"{RESULTS}/average/{{language_model}}/{{template}}/{{task}}/vectors.safetensors",
        layer=f"{RESULTS}/score/{{model}}/{{template}}/layer.json",
    output:
        f"{RESULTS}/write/{{model}}/{{template}}/{{task}}/from_{{language_model}}/test.parquet",
    log:
        f"{LOGS}/write/{{model}}/{{template}}/{{task}}/from_{{language_model}}/test.log",
    benchmark:
        f"{BENCHMARKS}/transfer_test/{{model}}/{{template}}/{{task}}/from_{{language_model}}.jsonl"


use rule score as score_transfer with:
    input:
        baselines=[],
        patched=expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/from_{{{{language_model}}}}/"
            "test.parquet",
            task=config["tasks"],
        ),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/from_{{language_model}}/accuracy.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/from_{{language_model}}/score.log",
    benchmark:
        f"{BENCHMARKS}/score_transfer/{{model}}/{{template}}/from_{{language_model}}.jsonl"


rule score_similarity:
    input:
        own=expand(
            f"{RESULTS}/average/{{{{model}}}}/{{{{template}}}}/{{task}}/vectors.safetensors",
            task=config["tasks"],
        ),
        reader=expand(
            f"{RESULTS}/average/{{{{language_model}}}}/{{{{template}}}}/{{task}}/vectors.safetensors",
            task=config["tasks"],
        ),
        layer=f"{RESULTS}/score/{{model}}/{{template}}/layer.json",
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/from_{{language_model}}/similarity.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/from_{{language_model}}/similarity.log",
    benchmark:
        f"{BENCHMARKS}/score_similarity/{{model}}/{{template}}/from_{{language_model}}.jsonl"
    localrule: True
    conda:
        "../../envs/cpu.yaml"
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.similarity"),
    shell:
        recorded(
            "score_similarity",
            "python -m taskvectors.score.similarity --own {input.own} --reader {input.reader} "
            "--layer {input.layer} --tasks {params.tasks} --out {output} --log {log}",
        )
