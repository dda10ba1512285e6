# Stages write and score once more, with the task vectors of a VLM's language model, the reader, in
# the VLM's queries (paper, section 3.1). On validation every layer is patched; on test only the
# layer that the VLM's own vectors chose.
#
# REQUIRED INPUTS: as write.smk and score.smk, with average/<reader>/.../vectors.safetensors
# OUTPUTS:         results/<experiment>/write/<model>/<template>/<task>/from_<reader>/
#                  {validation,test}.parquet
#                  results/<experiment>/score/<model>/<template>/from_<reader>/
#                  {layer.json,by_layer.csv,accuracy.csv}


use rule write_validation as transfer_validation with:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        pictures=ancient(f"{RESULTS}/collect/{config['pictures']['evaluation']}/pictures"),
        vectors=f"{RESULTS}/average/{{reader}}/{{template}}/{{task}}/vectors.safetensors",
    output:
        f"{RESULTS}/write/{{model}}/{{template}}/{{task}}/from_{{reader}}/validation.parquet",
    log:
        f"{LOGS}/write/{{model}}/{{template}}/{{task}}/from_{{reader}}/validation.log",
    benchmark:
        f"{BENCHMARKS}/transfer_validation/{{model}}/{{template}}/{{task}}/from_{{reader}}.jsonl"


use rule choose_layer as choose_transfer_layer with:
    input:
        expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/from_{{{{reader}}}}/"
            "validation.parquet",
            task=config["tasks"],
        ),
    output:
        layer=f"{RESULTS}/score/{{model}}/{{template}}/from_{{reader}}/layer.json",
        by_layer=f"{RESULTS}/score/{{model}}/{{template}}/from_{{reader}}/by_layer.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/from_{{reader}}/choose.log",
    benchmark:
        f"{BENCHMARKS}/choose_transfer_layer/{{model}}/{{template}}/from_{{reader}}.jsonl"


use rule write_test as transfer_test with:
    input:
        model=lambda wildcards: model_folder(wildcards.model),
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        pictures=ancient(f"{RESULTS}/collect/{config['pictures']['evaluation']}/pictures"),
        vectors=f"{RESULTS}/average/{{reader}}/{{template}}/{{task}}/vectors.safetensors",
        layer=f"{RESULTS}/score/{{model}}/{{template}}/layer.json",
    output:
        f"{RESULTS}/write/{{model}}/{{template}}/{{task}}/from_{{reader}}/test.parquet",
    log:
        f"{LOGS}/write/{{model}}/{{template}}/{{task}}/from_{{reader}}/test.log",
    benchmark:
        f"{BENCHMARKS}/transfer_test/{{model}}/{{template}}/{{task}}/from_{{reader}}.jsonl"


use rule score as score_transfer with:
    input:
        baselines=[],
        patched=expand(
            f"{RESULTS}/write/{{{{model}}}}/{{{{template}}}}/{{task}}/from_{{{{reader}}}}/"
            "test.parquet",
            task=config["tasks"],
        ),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{{model}}/{{template}}/from_{{reader}}/accuracy.csv",
    log:
        f"{LOGS}/score/{{model}}/{{template}}/from_{{reader}}/score.log",
    benchmark:
        f"{BENCHMARKS}/score_transfer/{{model}}/{{template}}/from_{{reader}}.jsonl"
