# Loads and checks the configuration; names that the other rules files share. Nothing here
# reads a network, a clock or a random number.
#
# REQUIRED INPUTS: config.yaml, resources/{tasks,models,templates}.yaml, resources/experiments/
# OUTPUTS:         none

import json
import hashlib
import os
import re
import shlex
import sys
from importlib import metadata
from pathlib import Path

import yaml

from taskvectors.study import entities
from taskvectors.record.code import code_hash
from taskvectors.study.config import read_models, resolve
from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.study import items
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

RESULTS = f"results/{config['experiment']}"
LOGS = f"logs/{config['experiment']}"
BENCHMARKS = f"{RESULTS}/benchmarks"
CACHING = workflow.workflow_settings.cache is not None  # --cache was given
MODELS = config["models"]
TEMPLATE = config["templates"][0]
SEEDS = config["seeds"]
ENTITY_SETS = sorted({TASKS[task].entity_set for task in config["tasks"]})

LANGUAGE_MODELS = config["language_models"]
# The folders of what the vectors of language models did in their VLMs, below score/ or write/.
TRANSFER = [f"{vlm}/{TEMPLATE}/from_{reader}" for vlm, reader in LANGUAGE_MODELS.items()]

# The models whose vision tower was trained here: how well it sees stands beside their results.
SEEING = [model for model in MODELS if SOURCES[model].language_model or SOURCES[model].tuned]
# What this experiment has nothing to show for, and what to run instead.
LEFT_OUT = {} if SEEING else {"naming": "needs a model whose vision tower is trained here"}
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
if len(ENTITY_SETS) == len(config["tasks"]):
    LEFT_OUT |= dict.fromkeys(
        items.CONFLICT, "needs two tasks that ask about one entity set; add one under `tasks`"
    )
ITEMS = [item for item in items.ITEMS if item not in LEFT_OUT]
ALL_RENDERINGS = [
    config["images"]["evaluation"],
    *(config["images"]["training"] if SEEING else []),
]
DATASETS = [
    f"{RESULTS}/curate/{task}/{split}.jsonl"
    for task in config["tasks"]
    for split in ("validation", "test")
]
TABLE_ENDINGS = ("csv", "md", "tex")
FIGURE_ENDINGS = ("pdf", "png", "csv", "md")
SITE_FILES = ("page.html.j2", "style.css", "filter.js")


wildcard_constraints:
    model="|".join(SOURCES),
    language_model="|".join(SOURCES),
    task="|".join(TASKS),
    template="[a-z][a-z0-9_]*",
    rendering="[a-z]+",


def recorded(name, command, *params):
    """A shell command that runs ``command`` and keeps a record of each output of rule ``name``;
    rules made from it by `use rule` keep that name in their records.

    The record has the params that the command names, and those named here besides.
    """
    named = dict.fromkeys([*re.findall(r"{params\.(\w+)}", command), *params])
    values = "".join(f"--param {param} {{params.{param}:q}} " for param in named)
    return (
        f"python -m taskvectors.record --rule {name} --wildcards {{wildcards}} "
        f"--code {{params.code}} {values}--inputs {{input}} --outputs {{output}} -- {command}"
    )


def model_folder(model):
    """The checkpoint folder that the stage prepare makes."""
    return f"{RESULTS}/prepare/{model}"


def model_folders():
    """The folders of all models in use, those that others are made from first."""
    used = dict.fromkeys([*MODELS, *LANGUAGE_MODELS.values()])
    waiting = list(used)
    while waiting:
        source = SOURCES[waiting.pop()]
        bases = [
            base for base in (source.language_model, source.tuned) if base and base not in used
        ]
        used |= dict.fromkeys(bases)
        waiting += bases
    return [model_folder(model) for model in used]


def entity_table(task):
    """The entity table of a task."""
    return f"resources/entities/{TASKS[task].entity_set}.csv"


ENTITY_TABLES = sorted({entity_table(task) for task in TASKS})


def labels_digest(wildcards):
    """Changes with the labels of this task or its entities, not with another task's labels."""
    return entities.digest(Path(entity_table(wildcards.task)), [TASKS[wildcards.task].label])


def entities_digest(wildcards):
    """Changes with the entities, not with any label."""
    return [entities.digest(Path(table)) for table in ENTITY_TABLES]


def manifest(rendering):
    """The manifest of a rendering's images."""
    return f"{RESULTS}/collect/{rendering}/manifest.csv"


def wikipedia_options():
    """Command line options that say who collects from Wikipedia, and how fast."""
    options = {f"--{key.replace('_', '-')}": value for key, value in config["wikipedia"].items()}
    words = [word for pair in options.items() for word in map(str, pair)]
    return shlex.join([*words, "--refresh"] if config["refresh"] else words)


def gpus(wildcards):
    """GPUs that a job with this model asks for; small models run on one CPU core each."""
    return SOURCES[wildcards.model].gpus


def queries(wildcards):
    """How many queries a job has, of its task or of all tasks: long jobs, and what they wait for,
    go first, so that none runs alone at the end."""
    tasks = [wildcards.task] if "task" in wildcards.keys() else config["tasks"]
    return sum(sum(config["splits"][TASKS[task].entity_set].values()) for task in tasks)


def job_memory(wildcards, attempt):
    """Megabytes of a host's memory for a job with this model: its weights, which are loaded there
    first, and room to work; more when the job is tried again."""
    return round(2500 + 1.3 * SOURCES[wildcards.model].weight_megabytes) * attempt


def decode_memory(wildcards, attempt):
    """Megabytes for a job that needs a model's unembedding in float32, not the model."""
    return round(2000 + 0.4 * SOURCES[wildcards.model].weight_megabytes) * attempt


def job_runtime(wildcards, attempt):
    """Minutes for a job with this model on one task; more when the job is tried again."""
    return round(30 + 15 * SOURCES[wildcards.model].parameters) * attempt


# What a job with a model asks for; one that runs the model asks for its GPUs, too.
MODEL_JOB = {"mem_mb": job_memory, "runtime": job_runtime}
GPU_JOB = {"gpu": gpus, **MODEL_JOB}


def cache_key(wildcards, input):
    """What --cache has to tell apart and Snakemake's hash of a job does not see: the wildcards, all
    that models.yaml says of the model, the installed packages, and the tables and images that
    were collected or curated. As a function of the inputs, it makes no result stale."""
    if not CACHING:
        return ""
    packages = sorted(f"{one.name}=={one.version}" for one in metadata.distributions())
    known = [sorted(wildcards.items()), SOURCES[wildcards.model], packages]
    digest = hashlib.sha256(repr(known).encode())
    for name in input:
        os.stat(name)  # what is not there yet, Snakemake asks for again
        path = Path(name)
        if path.name == "images":
            path = path.with_name("manifest.csv")
        if path.suffix in (".csv", ".json", ".jsonl"):
            digest.update(sha256(path).encode())
    return digest.hexdigest()


def measurements():
    """How many benchmark files there are, and when the newest was written (nanoseconds)."""
    written = [path.stat().st_mtime_ns for path in Path(BENCHMARKS).rglob("*.jsonl")]
    return [len(written), max(written, default=0)]


def models_from(kind):
    """A wildcard pattern for the models that come from ``kind`` (language_model, tuned, package or hub)."""
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


def item_models(item):
    """The models that an item shows: all, or the VLMs with a language model."""
    return list(LANGUAGE_MODELS) if item in ("table_4", "table_7") else MODELS


def of_each(path):
    """The files that a path pattern of `items.ITEMS` stands for."""
    known = {
        "results": RESULTS,
        "model": MODELS,
        "template": TEMPLATE,
        "task": config["tasks"],
        "images": f"{RESULTS}/collect/{config['images']['evaluation']}/images",
        "each_template": config["templates"],
        "vlm": list(LANGUAGE_MODELS),
        "transfer": TRANSFER,
    }
    return expand(path, **known)


def item_inputs(item):
    """What the render module of a table or figure reads, by name; no more than it needs."""
    inputs = {name: of_each(path) for name, path in items.ITEMS[item].inputs.items()}
    published = f"resources/paper/{item}.csv"
    if os.path.exists(published):
        inputs["published"] = published
    seeing = [model_folder(model) for model in SEEING]
    return {"caption": f"workflow/report/{item}.rst", "seeing": seeing, **inputs}


def named_inputs(inputs):
    """The command line options that give a rule's inputs by their names."""
    return "".join(f"--input {name} {{input.{name}}} " for name in inputs)


def render_command(item):
    """The command that renders a table or figure."""
    given = named_inputs(item_inputs(item))
    return (
        f"python -m {items.module_of(item)} --item {item} --experiment {{params.experiment}} "
        f"--models {{params.models}} --tasks {{params.tasks}} --seeing {{params.seeing}} {given}"
        "--out {params.stem} {params.options} --log {log}"
    )


def item_options(item):
    """Command line options that only some items take."""
    options = []
    if item == "table_2":
        options = ["--seeds", str(len(SEEDS))]
    if item == "table_6":
        options = ["--templates", *config["templates"]]
    if item in ("table_4", "table_7"):
        options = ["--language-models", *LANGUAGE_MODELS.values()]
    return shlex.join(options)


def refuse(item):
    """An input function that says why a table or figure is not made here, and what to do."""

    def say(wildcards):
        raise WorkflowError(f"the experiment {config['experiment']}: {item} {LEFT_OUT[item]}.")

    return say
