# Stage prepare: every model as a checkpoint folder that loads without a network.
#
# REQUIRED INPUTS: resources/models.yaml; packages (envs/data.txt), images, or a model hub
# OUTPUTS:         results/<experiment>/prepare/<model>/

# What training a vision tower or tuning a language model takes.
TRAINING = {
    "mem_mb": lambda wildcards, attempt: 5000 * attempt,
    "runtime": lambda wildcards, attempt: 60 * attempt,
}


rule language_model:
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/language_model/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("package"),
    cache: CACHING
    resources:
        **MODEL_JOBS,
    params:
        package=lambda wildcards: SOURCES[wildcards.model].package,
        file=lambda wildcards: SOURCES[wildcards.model].file,
        key=cache_key,
        code=code_hash("taskvectors.prepare.language_model"),
    shell:
        recorded(
            *("language_model", "prepare.language_model"),
            package="params.package",
            file="params.file",
            out="output",
        )


rule vision_tower:
    input:
        language_model=lambda wildcards: PLAN.model_folder(SOURCES[wildcards.model].language_model),
        training=[PLAN.manifest(rendering) for rendering in config["images"]["training"]],
        held_out=PLAN.manifest(EVALUATION),
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/vision_tower/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("language_model"),
    cache: CACHING
    threads: 2
    resources:
        **TRAINING,
    params:
        images_evaluation=EVALUATION,
        images_training=config["images"]["training"],
        vision_tower_copies=config["vision_tower"]["copies"],
        vision_tower_steps=config["vision_tower"]["steps"],
        vision_tower_seed=config["vision_tower"]["seed"],
        key=cache_key,
        code=code_hash("taskvectors.prepare.vision"),
    shell:
        recorded(
            *("vision_tower", "prepare.vision", "images_evaluation", "images_training"),
            language_model="input.language_model",
            training="input.training",
            held_out="input.held_out",
            copies="params.vision_tower_copies",
            steps="params.vision_tower_steps",
            seed="params.vision_tower_seed",
            out="output",
        )


rule tune:
    input:
        model=lambda wildcards: PLAN.model_folder(SOURCES[wildcards.model].tuned),
        training=[PLAN.manifest(rendering) for rendering in config["images"]["training"]],
        held_out=PLAN.manifest(EVALUATION),
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/tune/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("tuned"),
    threads: 2
    resources:
        **TRAINING,
    params:
        images_evaluation=EVALUATION,
        images_training=config["images"]["training"],
        tuning_steps=config["tuning"]["steps"],
        tuning_seed=config["tuning"]["seed"],
        code=code_hash("taskvectors.prepare.tune"),
    shell:
        recorded(
            *("tune", "prepare.tune", "images_evaluation", "images_training"),
            model="input.model",
            training="input.training",
            held_out="input.held_out",
            steps="params.tuning_steps",
            seed="params.tuning_seed",
            out="output",
        )


rule fetch_model:
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_model/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("hub"),
    cache: CACHING
    localrule: True
    params:
        hub=lambda wildcards: SOURCES[wildcards.model].hub,
        revision=lambda wildcards: SOURCES[wildcards.model].revision,
        code=code_hash("taskvectors.prepare.fetch"),
    shell:
        recorded(
            *("fetch_model", "prepare.fetch"),
            hub="params.hub",
            revision="params.revision",
            out="output",
        )
