# Stages write and score once more, with the task vectors of a VLM's language model in the VLM's
# queries (paper, section 3.1). On validation every layer is patched; on test only the layer that
# the VLM's own vectors chose.
#
# REQUIRED INPUTS: as write.smk and score.smk, with average/<language_model>/.../vectors.safetensors
# OUTPUTS:         results/<experiment>/write/<model>/<template>/<task>/from_<language_model>/
#                  {validation,test}.parquet
#                  results/<experiment>/score/<model>/<template>/from_<language_model>/
#                  {layer.json,by_layer.csv,accuracy.csv,similarity.csv}

FROM = "from_{language_model}"
READ_IN = f"{RESULTS}/average/{{language_model}}/{{template}}/{{task}}/vectors.safetensors"


use rule write_validation as transfer_validation with:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        images=task_images,
        vectors=READ_IN,
    output:
        f"{RESULTS}/write/{TASK_JOB}/{FROM}/validation.parquet",
    log:
        f"{LOGS}/write/{TASK_JOB}/{FROM}/validation.log",
    benchmark:
        f"{BENCHMARKS}/transfer_validation/{TASK_JOB}/{FROM}.jsonl"


use rule choose_layer as choose_transfer_layer with:
    input:
        of_tasks("write", f"{FROM}/validation.parquet"),
    output:
        layer=f"{RESULTS}/score/{MODEL_JOB}/{FROM}/layer.json",
        by_layer=f"{RESULTS}/score/{MODEL_JOB}/{FROM}/by_layer.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/{FROM}/choose.log",
    benchmark:
        f"{BENCHMARKS}/choose_transfer_layer/{MODEL_JOB}/{FROM}.jsonl"
    localrule: True  # which a rule that is made from another does not inherit


use rule write_test as transfer_test with:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        images=task_images,
        vectors=READ_IN,
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/write/{TASK_JOB}/{FROM}/test.parquet",
    log:
        f"{LOGS}/write/{TASK_JOB}/{FROM}/test.log",
    benchmark:
        f"{BENCHMARKS}/transfer_test/{TASK_JOB}/{FROM}.jsonl"


use rule score as score_transfer with:
    input:
        predictions=of_tasks("write", f"{FROM}/test.parquet"),
        validation=of_tasks("read", "baselines.parquet"),
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/{FROM}/accuracy.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/{FROM}/score.log",
    benchmark:
        f"{BENCHMARKS}/score_transfer/{MODEL_JOB}/{FROM}.jsonl"
    localrule: True


rule score_similarity:
    input:
        own=of_tasks("average", "vectors.safetensors"),
        reader=expand(
            f"{RESULTS}/average/{{{{language_model}}}}/{{{{template}}}}/{{task}}/"
            "vectors.safetensors",
            task=config["tasks"],
        ),
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/score/{MODEL_JOB}/{FROM}/similarity.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/{FROM}/similarity.log",
    benchmark:
        f"{BENCHMARKS}/score_similarity/{MODEL_JOB}/{FROM}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        code=code_hash("taskvectors.score.similarity"),
    shell:
        recorded(
            *("score_similarity", "score.similarity"),
            own="input.own",
            reader="input.reader",
            layer="input.layer",
            tasks="params.tasks",
            out="output",
        )
