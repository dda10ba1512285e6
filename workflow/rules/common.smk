# Loads and checks the configuration; names that the other rules files share. Nothing here
# reads a network, a clock or a random number.
#
# REQUIRED INPUTS: config.yaml, resources/{tasks,models,templates}.yaml, resources/experiments/
# OUTPUTS:         none

import json
import os
import sys
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.pages import template_files
from taskvectors.record.code import code_hash
from taskvectors.record.shell import recorded
from taskvectors.render import items
from taskvectors.study.config import read_models, resolve
from taskvectors.study.plan import Plan
from taskvectors.study.tasks import read_tasks

# The commands run with this Python, whether its environment was activated or not.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
if not sys.stderr.isatty():
    os.environ.update(TQDM_DISABLE="1")  # progress bars are for terminals, logs get lines
if workflow.remote_exec:
    os.environ.update(HF_HUB_OFFLINE="1")  # a cluster's nodes may have no network
RESOURCES = Path("resources")
try:
    config.update(resolve(config, workflow.config_settings.overwrite_config, RESOURCES))
    TASKS = read_tasks(RESOURCES / "tasks.yaml")
    SOURCES = read_models(RESOURCES / "models.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None

# What the records say of the configuration. Commands get it through the environment, which
# Snakemake does not compare.
os.environ.update(TASKVECTORS_CONFIG=json.dumps(config))

PLAN = Plan(config, TASKS, SOURCES)
EVALUATION = config["images"]["evaluation"]
RESULTS = PLAN.results
LOGS = f"logs/{config['experiment']}"
BENCHMARKS = f"{RESULTS}/benchmarks"
CACHING = workflow.workflow_settings.cache is not None  # --cache was given
# Where a job lies that has one model and template, and one that has one task besides.
MODEL_JOB = "{model}/{template}"
TASK_JOB = "{model}/{template}/{task}"
# Options that all jobs with a model share, and all that lay out prompts.
MODEL = {"model": "input.model", "name": "wildcards.model", "dtype": "params.dtype"}
TEMPLATE = {"templates": "input.templates", "template": "wildcards.template"}

# What this experiment has nothing to show for, and what to run instead.
LEFT_OUT = {} if PLAN.seeing else {"naming": "needs a model whose vision tower is trained here"}
if not config["language_models"]:
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
if len(PLAN.entity_sets) == len(config["tasks"]):
    LEFT_OUT |= dict.fromkeys(
        items.CONFLICT, "needs two tasks that ask about one entity set; add one under `tasks`"
    )
ITEMS = [item for item in items.ITEMS if item not in LEFT_OUT]
TABLE_ENDINGS = ("csv", "md", "tex", "json")
FIGURE_ENDINGS = ("pdf", "png", "csv", "md")


wildcard_constraints:
    model="|".join(SOURCES),
    language_model="|".join(SOURCES),
    task="|".join(TASKS),
    template="[a-z][a-z0-9_]*",
    rendering="[a-z]+",


def model_folder(wildcards):
    """The job's model."""
    return PLAN.model_folder(wildcards.model)


def of_tasks(stage, file):
    """A file of every task, for a job with one model and template."""
    return [f"{RESULTS}/{stage}/{MODEL_JOB}/{task}/{file}" for task in config["tasks"]]


def queries(wildcards):
    """How many queries a job has, of its task or of all tasks: its priority."""
    named = wildcards.get("task")
    return PLAN.queries([named] if named else config["tasks"])


def cache_key(wildcards, input):
    """What --cache has to tell apart besides. As a function of the inputs, it makes no result
    stale."""
    return PLAN.cache_key(dict(wildcards.items()), input) if CACHING else ""


# What a job with a model asks for; one that runs the model asks for its GPUs, too.
MODEL_JOBS = {
    "mem_mb": lambda wildcards, attempt: PLAN.memory(wildcards.model, attempt),
    "runtime": lambda wildcards, attempt: PLAN.runtime(wildcards.model, attempt),
}
GPU_JOB = {"gpu": lambda wildcards: SOURCES[wildcards.model].gpus, **MODEL_JOBS}


def item_stem(item):
    """The path of a table or figure without its ending."""
    return f"{RESULTS}/{'figures' if item.startswith('figure') else 'tables'}/{item}"


def item_outputs(item):
    """The files of a table or figure by their endings, the one for the report with its caption."""
    endings = FIGURE_ENDINGS if item.startswith("figure") else TABLE_ENDINGS
    shown = "png" if item.startswith("figure") else "csv"
    if item == "table_1":  # its images need a page
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
        "model": config["models"],
        "template": config["templates"][0],
        "task": config["tasks"],
        "images": PLAN.images,
        "each_template": config["templates"],
        "vlm": list(config["language_models"]),
        "read_by": sorted({*config["language_models"], *config["language_models"].values()}),
        "transfer": [
            f"{vlm}/{config['templates'][0]}/from_{language_model}"
            for vlm, language_model in config["language_models"].items()
        ],
    }
    inputs = {name: expand(path, **known) for name, path in items.ITEMS[item].inputs.items()}
    published = f"resources/paper/{item}.csv"
    if os.path.exists(published):
        inputs["published"] = published
    inputs.update({name: f"{item_stem(name)}.csv" for name in beside(item)})
    seeing = [PLAN.model_folder(model) for model in PLAN.seeing]
    return {"caption": f"workflow/report/{item}.rst", "seeing": seeing, **inputs}


def beside(item):
    """The made items whose data an item reads."""
    return [name for name in items.ITEMS[item].beside if name in ITEMS]


def item_options(item):
    """Command line options that only some items take."""
    options = ["--beside", *beside(item)] if beside(item) else []
    if items.ITEMS[item].resamples:
        bootstrap = config["bootstrap"]
        options += ["--resamples", str(bootstrap["resamples"]), "--seed", str(bootstrap["seed"])]
    if item == "table_6":
        options += ["--templates", *config["templates"]]
    if item in ("table_4", "table_7"):
        pairs = [
            f"{vlm}={language_model}" for vlm, language_model in config["language_models"].items()
        ]
        options += ["--language-models", *pairs]
    return options


def refuse(item):
    """An input function that says why a table or figure is not made here, and what to do."""

    def say(wildcards):
        raise WorkflowError(f"the experiment {config['experiment']}: {item} {LEFT_OUT[item]}.")

    return say
