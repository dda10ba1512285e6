# Stage instructions: a task's instruction with noise in it, as a vector that is patched into the test
# queries and as a prompt before them. Only where `instructions` is true.
#
# REQUIRED INPUTS: resources/tasks.yaml, a model folder, curate/<task>/test.jsonl,
#                  score/.../layer.json, read/.../baselines.parquet and write/.../test.parquet of all
#                  tasks
# OUTPUTS:         results/<experiment>/instructions/<model>/<template>/<task>/test.parquet
#                  results/<experiment>/score/<model>/<template>/instructions.csv


rule instructions:
    input:
        model=model_folder,
        tasks=ancient("resources/tasks.yaml"),  # its lines that count are a param
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        images=task_images,
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/instructions/{TASK_JOB}/test.parquet",
    log:
        f"{LOGS}/instructions/{TASK_JOB}.log",
    benchmark:
        f"{BENCHMARKS}/instructions/{TASK_JOB}.jsonl"
    priority: queries
    resources:
        **GPU_JOB,
    params:
        instruction=lambda wildcards: TASKS[wildcards.task].instruction,
        wordings=lambda wildcards: json.dumps(TASKS[wildcards.task].wordings, sort_keys=True),
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        code=code_hash("taskvectors.instructions"),
    shell:
        recorded(
            *("instructions", "instructions", "instruction", "wordings"),
            **MODEL,
            **TEMPLATE,
            tasks="input.tasks",
            task="wildcards.task",
            items="input.queries",
            layer="input.layer",
            out="output",
        )


use rule score as score_instructions with:
    input:
        predictions=answers_with("instructions"),
        validation=[],
        exemplars=expand(f"{RESULTS}/curate/{{task}}/exemplars.jsonl", task=config["tasks"]),
    output:
        f"{RESULTS}/score/{MODEL_JOB}/instructions.csv",
    log:
        f"{LOGS}/score/{MODEL_JOB}/instructions.log",
    benchmark:
        f"{BENCHMARKS}/score_instructions/{MODEL_JOB}.jsonl"
    localrule: True
