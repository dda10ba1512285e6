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
from taskvectors.base.files import check_writable
from taskvectors.base.pages import template_files
from taskvectors.base.schemas import read_yaml
from taskvectors.cluster import dry_run
from taskvectors.prepare.keep import adopt
from taskvectors.record.code import code_hash
from taskvectors.record.held import hold_to_records
from taskvectors.record.shell import recorded
from taskvectors.study.config import read_models, resolve
from taskvectors.study.inputs import input_options
from taskvectors.study.items import ITEMS, module_of
from taskvectors.study.plan import Plan
from taskvectors.study.tasks import read_tasks

# The commands run with this Python, whether its environment was activated or not.
os.environ.update(PATH=os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()]))
if not sys.stderr.isatty():
    os.environ.update(TQDM_DISABLE="1")  # progress bars are for terminals, logs get lines
if workflow.remote_exec:
    os.environ.update(HF_HUB_OFFLINE="1")  # a cluster's nodes may have no network
if workflow.is_main_process:
    dry_run.install()
RESOURCES = Path("resources")
try:
    for path in workflow.configfiles:
        read_yaml(Path(path))  # Snakemake takes a key twice
    GIVEN = workflow.config_settings
    NAMED = GIVEN.config.get("experiment")
    config.update(resolve(config, GIVEN.overwrite_config, RESOURCES, NAMED))
    TASKS = read_tasks(RESOURCES / "tasks.yaml")
    SOURCES = read_models(RESOURCES / "models.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None

# What the records say of the configuration. Commands get it through the environment, which
# Snakemake does not compare.
os.environ.update(TASKVECTORS_CONFIG=json.dumps(config))


onstart:
    try:
        check_writable(Path("logs"))
    except UserError as error:
        raise WorkflowError(str(error)) from None


PLAN = Plan(config, TASKS, SOURCES)
EVALUATION = config["images"]["evaluation"]
# The folders of the images that are evaluated.
IMAGES = PLAN.images.folders(PLAN.entity_sets)
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


wildcard_constraints:
    model="|".join(SOURCES),
    language_model="|".join(SOURCES),
    task="|".join(TASKS),
    template="[a-z][a-z0-9_]*",
    rendering="[a-z]+",
    entity_set="[a-z][a-z0-9_-]*",


def model_folder(wildcards):
    """The job's model."""
    return PLAN.model_folder(wildcards.model)


def of_tasks(stage, file):
    """A file of every task, for a job with one model and template."""
    return [f"{RESULTS}/{stage}/{MODEL_JOB}/{task}/{file}" for task in config["tasks"]]


def of_models(stage, file):
    """A file of every model, template and task."""
    return expand(
        f"{RESULTS}/{stage}/{TASK_JOB}/{file}",
        model=config["models"],
        template=config["templates"],
        task=config["tasks"],
    )


def answers_of_tasks(wildcards):
    """What the model answered to all tasks: prompted, and patched."""
    job = f"{wildcards.model}/{wildcards.template}"
    files = {"read": "baselines.parquet", "write": "test.parquet"}
    return [
        f"{RESULTS}/{stage}/{job}/{task}/{file}"
        for stage, file in files.items()
        for task in config["tasks"]
    ]


def vectors_of_another(wildcards):
    """The vectors of the task that is this one's control, where there is one."""
    other = PLAN.other_task(wildcards.task)
    place = f"{wildcards.model}/{wildcards.template}/{other}"
    return [f"{RESULTS}/average/{place}/vectors.safetensors"] if other else []


def irrelevant_items(wildcards):
    """Items of another entity set, where there is one."""
    other = PLAN.other_task(wildcards.task)
    unrelated = other and PLAN.unrelated(wildcards.task, other)
    return [f"{RESULTS}/curate/{other}/validation.jsonl"] if unrelated else []


def irrelevant_images(wildcards):
    """The folder with the images of those."""
    if not irrelevant_items(wildcards):
        return []
    other = TASKS[PLAN.other_task(wildcards.task)]
    return ancient(PLAN.images.images(other.entity_set))


def answers_with(stage):
    """An input function: what the model answered to all tasks, prompted, patched, and in a stage."""
    return lambda wildcards: [
        *answers_of_tasks(wildcards),
        *expand(
            f"{RESULTS}/{stage}/{TASK_JOB}/test.parquet",
            task=config["tasks"],
            model=wildcards.model,
            template=wildcards.template,
        ),
    ]


def task_images(wildcards):
    """The folder with the images of a job's task. Each image's hash is in the manifest: when that is
    unchanged, so are they."""
    return ancient(PLAN.images.images(TASKS[wildcards.task].entity_set))


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


def item_inputs(item):
    """What a table or figure shows; what counts of the tasks' file is a param."""
    inputs = PLAN.item_inputs(item)
    return inputs | {"tasks": ancient(inputs["tasks"])} if "tasks" in inputs else inputs


def item_outputs(item):
    """The files of a table or figure by their endings, the one for the report with its caption."""
    files, figure = PLAN.item_files(item), item.startswith("figure")
    shown = "png" if figure else "html" if "html" in files else "csv"
    files[shown] = report(
        files[shown],
        caption=f"../report/{item}.rst",
        category="Figures" if figure else "Tables",
        labels={"item": item},
    )
    return files


def refused(error):
    """The end of Snakemake in one sentence: it puts a traceback around what an input function
    raises, unless that is no error but an exit."""
    return SystemExit(f"error: {error}")


def refuse(item):
    """An input function that says why a table or figure is not made here, and what to do."""

    def say(wildcards):
        why = f"the experiment {config['experiment']}: {item} {PLAN.left_out[item]}."
        raise refused(why)

    return say


def tables_for_wikipedia(wildcards):
    """The tables of what it is asked about, once it is known who collects: a dry run asks, too."""
    try:
        PLAN.check_contact()
    except UserError as error:
        raise refused(error) from None
    return [PLAN.images.table(name) for name in OF_WIKIPEDIA]
