# Loads and checks the configuration; names that the other rules files share. Nothing here
# reads a network, a clock or a random number.
#
# REQUIRED INPUTS: config.yaml, resources/{tasks,models,templates}.yaml, resources/experiments/
# OUTPUTS:         none

import os
import shlex
import sys
from pathlib import Path

import yaml

from taskvectors.code import code_hash
from taskvectors.config import read_models, resolve
from taskvectors.errors import UserError
from taskvectors.render import items
from taskvectors.tasks import read_tasks

# The commands run with this Python, whether its environment was activated or not.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
if not sys.stderr.isatty():
    os.environ.update(TQDM_DISABLE="1")  # progress bars are for terminals, logs get lines
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
ENTITY_SETS = sorted({TASKS[task].entity_set for task in config["tasks"]})

LANGUAGE_MODELS = config["language_models"]

# The models whose eyes were trained here: how well they see stands beside their results.
SEEING = [model for model in MODELS if SOURCES[model].eyes or SOURCES[model].tuned]
# What this experiment has nothing to show for, and what to run instead.
LEFT_OUT = {} if SEEING else {"naming": "needs a model whose eyes are trained here"}
if not LANGUAGE_MODELS:
    LEFT_OUT |= dict.fromkeys(
        ["table_4", "table_7"],
        "needs a VLM with its language model under `language_models`; "
        "run it with `--config experiment=transfer`",
    )
if len(config["templates"]) < 2:
    LEFT_OUT["table_6"] = (
        "compares templates, and one alone is configured; "
        "run it with `--config experiment=templates`"
    )
ITEMS = [item for item in items.ITEMS if item not in LEFT_OUT]
TABLE_ENDINGS = ("csv", "md", "tex")
FIGURE_ENDINGS = ("pdf", "png", "csv", "md")


wildcard_constraints:
    model="|".join(SOURCES),
    reader="|".join(SOURCES),
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


def wikipedia_options():
    """Command line options that say who collects from Wikipedia, and how fast."""
    options = {f"--{key.replace('_', '-')}": value for key, value in config["wikipedia"].items()}
    words = [word for pair in options.items() for word in map(str, pair)]
    return shlex.join([*words, "--refresh"] if config["refresh"] else words)


def gpus(wildcards):
    """GPUs that a job with this model asks for; small models run on one CPU core each."""
    return SOURCES[wildcards.model].gpus


def models_from(kind):
    """A wildcard pattern for the models that come from ``kind`` (eyes, tuned, package or hub)."""
    names = [name for name, source in SOURCES.items() if getattr(source, kind)]
    return "|".join(names) or "no_such_model"


def exemplar_specifications(wildcards):
    """The configured specifications that a model can take."""
    return [
        name
        for name in config["specifications"]
        if name != "image_icl" or SOURCES[wildcards.model].image_icl
    ]


def item_stem(item):
    """The path of a table or figure without its ending."""
    return f"{RESULTS}/{'figures' if item.startswith('figure') else 'tables'}/{item}"


def item_outputs(item):
    """The files of a table or figure by their endings, the one for the report with its caption."""
    endings = FIGURE_ENDINGS if item.startswith("figure") else TABLE_ENDINGS
    shown = "png" if item.startswith("figure") else "csv"
    if item == "table_1":  # its pictures need a page
        endings, shown = (*endings, "html"), "html"
    files = {ending: f"{item_stem(item)}.{ending}" for ending in endings}
    files[shown] = report(
        files[shown],
        caption=f"../report/{item}.rst",
        category="Figures" if item.startswith("figure") else "Tables",
        labels={"item": item},
    )
    return files


def item_files(item):
    """The paths of a table or figure."""
    return [str(path) for path in item_outputs(item).values()]


def item_inputs(item):
    """What the render module of a table or figure reads, by name; no more than it needs."""
    known = {
        "results": RESULTS,
        "model": MODELS,
        "template": TEMPLATE,
        "task": config["tasks"],
        "pictures": f"{RESULTS}/collect/{config['pictures']['evaluation']}/pictures",
        "each_template": config["templates"],
        "vlm": list(LANGUAGE_MODELS),
        "read_by": sorted({*LANGUAGE_MODELS, *LANGUAGE_MODELS.values()}),
        "transfer": [f"{vlm}/{TEMPLATE}/from_{reader}" for vlm, reader in LANGUAGE_MODELS.items()],
    }
    inputs = {name: expand(path, **known) for name, path in items.ITEMS[item].inputs.items()}
    published = f"resources/paper/{item}.csv"
    if os.path.exists(published):
        inputs["published"] = published
    seeing = [model_folder(model) for model in SEEING]
    return {"caption": f"workflow/report/{item}.rst", "seeing": seeing, **inputs}


def item_options(item):
    """Command line options that only this table or figure needs."""
    if item == "table_6":
        return shlex.join(["--templates", *config["templates"]])
    if item in ("table_4", "table_7"):
        pairs = [f"{vlm}={reader}" for vlm, reader in LANGUAGE_MODELS.items()]
        return shlex.join(["--language-models", *pairs])
    return ""


def refuse(item):
    """An input function that says why a table or figure is not made here, and what to do."""

    def say(wildcards):
        raise WorkflowError(f"the experiment {config['experiment']}: {item} {LEFT_OUT[item]}.")

    return say
