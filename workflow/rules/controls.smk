# Stage controls: vectors that should do nothing, each patched into the test queries as the real one
# is, and the real ones less them. Only where `controls` is true.
#
# REQUIRED INPUTS: a model folder, curate/<task>/, average/.../vectors.safetensors of the task and of
#                  another one, score/.../layer.json, read/.../baselines.parquet and
#                  write/.../test.parquet of all tasks
# OUTPUTS:         results/<experiment>/controls/<model>/<template>/<task>/
#                  {vectors.safetensors,test.parquet}
#                  results/<experiment>/score/<model>/<template>/{controls,control_pairs}.csv


rule controls:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        validation=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        test=f"{RESULTS}/curate/{{task}}/test.jsonl",
        exemplars=f"{RESULTS}/curate/{{task}}/exemplars.jsonl",
        images=task_images,
        irrelevant_images=irrelevant_images,
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
        others=vectors_of_another,
        irrelevant=irrelevant_items,
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        vectors=f"{RESULTS}/controls/{TASK_JOB}/vectors.safetensors",
        predictions=f"{RESULTS}/controls/{TASK_JOB}/test.parquet",
    log:
        f"{LOGS}/controls/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/controls/{TASK_JOB}.jsonl"
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dataset=subpath(input.test, parent=True),
        out=subpath(output.predictions, parent=True),
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        code=code_hash("taskvectors.controls"),
    shell:
        recorded(
            *("controls", "controls"),
            **MODEL,
            **TEMPLATE,
            task="wildcards.task",
            dataset="params.dataset",
            vectors="input.vectors",
            others="input.others",
            irrelevant="input.irrelevant",
            layer="input.layer",
            out="params.out",
        )


use rule score as score_controls with:
    input:
        predictions=answers_with("controls"),
        validation=[],
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/controls.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/controls.log",
    benchmark:
        f"{BENCHMARKS}/score_controls/{MODEL_JOB}.jsonl"
    localrule: True


rule score_control_pairs:
    input:
        answers_with("controls"),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/control_pairs.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/control_pairs.log",
    benchmark:
        f"{BENCHMARKS}/score_control_pairs/{MODEL_JOB}.jsonl"
    localrule: True
    params:
        tasks=config["tasks"],
        bootstrap_resamples=config["bootstrap"]["resamples"],
        bootstrap_seed=config["bootstrap"]["seed"],
        code=code_hash("taskvectors.score.controls"),
    shell:
        recorded(
            *("score_control_pairs", "score.controls"),
            predictions="input",
            tasks="params.tasks",
            **BOOTSTRAP,
            out="output",
        )
