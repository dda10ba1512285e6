# Stage heads: which attention heads carry a task, by causal mediation, and what function vectors,
# the sums of the best heads' outputs, make of queries to which they are added.
#
# REQUIRED INPUTS: a model folder, read/.../heads.safetensors, average/.../vectors.safetensors,
#                  curate/<task>/<split>.jsonl, score/<model>/<template>/{layer.json,heads.csv,
#                  injection.json}
# OUTPUTS:         results/<experiment>/heads/<model>/<template>/function_vectors.safetensors
#                  results/<experiment>/heads/<model>/<template>/<task>/
#                  {effects,validation,test}.parquet


rule mediate:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        images=task_images,
        outputs=HEADS,
    output:
        f"{RESULTS}/heads/{TASK_JOB}/effects.parquet",
    log:
        f"{LOGS}/heads/{TASK_JOB}/mediate.log",
    benchmark:
        f"{BENCHMARKS}/mediate/{TASK_JOB}.jsonl"
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        mediation_prompts=config["mediation"]["prompts"],
        mediation_exemplars=config["mediation"]["exemplars"],
        mediation_seed=config["mediation"]["seed"],
        code=code_hash("taskvectors.heads.mediate"),
    shell:
        recorded(
            *("mediate", "heads.mediate"),
            **MODEL,
            **TEMPLATE,
            task="wildcards.task",
            items="input.queries",
            outputs="input.outputs",
            prompts="params.mediation_prompts",
            exemplars="params.mediation_exemplars",
            seed="params.mediation_seed",
            out="output",
        )


rule function_vectors:
    input:
        model=model_folder,
        outputs=of_tasks("read", "heads.safetensors"),
        heads=f"{RESULTS}/score/{MODEL_JOB}/heads.csv",
    output:
        f"{RESULTS}/heads/{MODEL_JOB}/function_vectors.safetensors",
    log:
        f"{LOGS}/heads/{MODEL_JOB}/vectors.log",
    benchmark:
        f"{BENCHMARKS}/function_vectors/{MODEL_JOB}.jsonl"
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        tasks=config["tasks"],
        function_vectors_heads=config["function_vectors"]["heads"],
        code=code_hash("taskvectors.heads.vectors"),
    shell:
        recorded(
            *("function_vectors", "heads.vectors"),
            **MODEL,
            tasks="params.tasks",
            outputs="input.outputs",
            heads="input.heads",
            top="params.function_vectors_heads",
            out="output",
        )


# What both rules below are given.
INJECTED = {
    **MODEL,
    **TEMPLATE,
    "task": "wildcards.task",
    "items": "input.queries",
    "vectors": "input.vectors",
    "function_vectors": "input.functions",
    "out": "output",
}


rule inject_validation:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/validation.jsonl",
        images=task_images,
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
        functions=f"{RESULTS}/heads/{MODEL_JOB}/function_vectors.safetensors",
    output:
        f"{RESULTS}/heads/{TASK_JOB}/validation.parquet",
    log:
        f"{LOGS}/heads/{TASK_JOB}/validation.log",
    benchmark:
        f"{BENCHMARKS}/inject_validation/{TASK_JOB}.jsonl"
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        function_vectors_strengths=config["function_vectors"]["strengths"],
        code=code_hash("taskvectors.heads.sweep"),
    shell:
        recorded(
            "inject_validation",
            "heads.sweep",
            **INJECTED,
            strengths="params.function_vectors_strengths",
        )


rule inject_test:
    input:
        model=model_folder,
        templates="resources/templates.yaml",
        queries=f"{RESULTS}/curate/{{task}}/test.jsonl",
        images=task_images,
        vectors=f"{RESULTS}/average/{TASK_JOB}/vectors.safetensors",
        others=lambda wildcards: PLAN.sibling_vectors(**wildcards),
        functions=f"{RESULTS}/heads/{MODEL_JOB}/function_vectors.safetensors",
        injection=f"{RESULTS}/score/{MODEL_JOB}/injection.json",
        layer=f"{RESULTS}/score/{MODEL_JOB}/layer.json",
    output:
        f"{RESULTS}/heads/{TASK_JOB}/test.parquet",
    log:
        f"{LOGS}/heads/{TASK_JOB}/test.log",
    benchmark:
        f"{BENCHMARKS}/inject_test/{TASK_JOB}.jsonl"
    priority: queries
    resources:
        **GPU_JOB,
    params:
        dtype=lambda wildcards: SOURCES[wildcards.model].dtype,
        other=lambda wildcards: PLAN.sibling_options(**wildcards),
        code=code_hash("taskvectors.heads.inject"),
    shell:
        recorded(
            *("inject_test", "heads.inject"),
            **INJECTED,
            injection="input.injection",
            layer="input.layer",
            _other="params.other",
        )
