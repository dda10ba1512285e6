# Loads and checks the configuration; names that the other rules files share. Nothing here
# reads a network, a clock or a random number.
#
# REQUIRED INPUTS: config.yaml, resources/{tasks,models,templates}.yaml, resources/experiments/
# OUTPUTS:         results/<experiment>/run_config.yaml

from pathlib import Path

import yaml

from taskvectors.code import code_hash
from taskvectors.config import read_models, resolve
from taskvectors.errors import UserError
from taskvectors.tasks import read_tasks

RESOURCES = Path("resources")
try:
    config.update(resolve(config, workflow.config_settings.overwrite_config, RESOURCES))
    TASKS = read_tasks(RESOURCES / "tasks.yaml")
    SOURCES = read_models(RESOURCES / "models.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None

RESULTS = f"results/{config['experiment']}"
LOGS = f"logs/{config['experiment']}"
MODELS = config["models"]
TEMPLATE = config["templates"][0]
SEEDS = config["seeds"]


wildcard_constraints:
    model="|".join(SOURCES),
    task="|".join(TASKS),
    template="[a-z][a-z0-9_]*",
    rendering="[a-z]+",


def model_folder(model):
    """The checkpoint folder that the stage prepare makes."""
    return f"{RESULTS}/prepare/{model}"


def entity_table(task):
    """The entity table of a task."""
    return f"resources/entities/{TASKS[task].entity_set}.csv"


def manifest(rendering):
    """The manifest of a rendering's pictures."""
    return f"{RESULTS}/collect/{rendering}/manifest.csv"


def gpus(wildcards):
    """GPUs that a job with this model asks for; small models run on one CPU core each."""
    return SOURCES[wildcards.model].gpus


rule run_config:
    output:
        f"{RESULTS}/run_config.yaml",
    params:
        merged=yaml.safe_dump(config, sort_keys=True, allow_unicode=True),
    log:
        f"{LOGS}/run_config.log",
    localrule: True
    run:
        Path(output[0]).write_text(params.merged, encoding="utf-8")
