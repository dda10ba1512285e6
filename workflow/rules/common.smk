# Loads and checks the configuration; names that the other rules files share. Nothing here
# reads a network, a clock or a random number.
#
# REQUIRED INPUTS: config.yaml, resources/{tasks,models,templates}.yaml, resources/experiments/
# OUTPUTS:         none

import os
import sys
from pathlib import Path

import yaml

from taskvectors.code import code_hash
from taskvectors.config import read_models, resolve
from taskvectors.errors import UserError
from taskvectors.tasks import read_tasks

# The commands run with this Python, whether its environment was activated or not.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
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

TABLE_ENDINGS = ("csv", "md", "tex")
FIGURE_ENDINGS = ("pdf", "png", "csv")


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


def models_from(kind):
    """A wildcard pattern for the models that come from ``kind`` (eyes, package or hub)."""
    names = [name for name, source in SOURCES.items() if getattr(source, kind)]
    return "|".join(names) or "no_such_model"


def exemplar_specifications(wildcards):
    """The configured specifications that a model can take."""
    return [
        name
        for name in config["specifications"]
        if name != "image_icl" or SOURCES[wildcards.model].image_icl
    ]


def item_files(item):
    """The files of a table or figure."""
    figure = item.startswith("figure")
    folder, endings = ("figures", FIGURE_ENDINGS) if figure else ("tables", TABLE_ENDINGS)
    return [f"{RESULTS}/{folder}/{item}.{ending}" for ending in endings]


def published_table(wildcards):
    """The paper's own numbers, where the item is a table of the paper."""
    return [] if wildcards.item == "naming" else f"resources/paper/{wildcards.item}.csv"
