"""What an experiment has: its models, folders and files, and what each job with a model asks for.

The rules share one `Plan`. It reads no network, clock or random number.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from itertools import product
from pathlib import Path
from string import Formatter
from typing import Any

from taskvectors.base.files import sha256
from taskvectors.base.pages import template_files
from taskvectors.study import entities
from taskvectors.study.config import ModelSource
from taskvectors.study.contact import check_contact
from taskvectors.study.datasets import SPLITS
from taskvectors.study.images import ImagePlan
from taskvectors.study.items import (
    CLAIMS,
    COMPOSITION,
    CONFLICT,
    GAP,
    ITEMS,
    SWITCHED,
    TRANSFER,
    WILD,
    Patterns,
)
from taskvectors.study.tasks import Task


@dataclass(frozen=True)
class Plan:
    """A merged configuration with all tasks and models that it can name.

    Paths are as the rules write them: POSIX, relative to the repository's root.
    """

    config: dict[str, Any]
    tasks: dict[str, Task]
    sources: dict[str, ModelSource]
    resources: Path = Path("resources")

    # -- what is studied -------------------------------------------------------------------

    @property
    def results(self) -> str:
        return f"results/{self.config['experiment']}"

    @property
    def entity_sets(self) -> list[str]:
        return sorted({self.tasks[task].entity_set for task in self.config["tasks"]})

    @cached_property
    def images(self) -> ImagePlan:
        """Where the images and tables of the entity sets are from."""
        return ImagePlan(self.config, set(self.entity_sets), self.resources)

    @property
    def seeing(self) -> list[str]:
        """The models whose vision tower is this project's own: how well it sees stands beside
        their results."""
        return [m for m in self.config["models"] if self.bases(m)]

    def bases(self, model: str) -> list[str]:
        """The model that a model with this project's own vision tower is made from."""
        source = self.sources[model]
        return [base for base in (source.language_model, source.open, source.tuned) if base]

    def specifications(self, model: str) -> list[str]:
        """The configured specifications that a model can take."""
        takes = self.sources[model].image_icl
        return [name for name in self.config["specifications"] if takes or name != "image_icl"]

    def models_from(self, kind: str) -> str:
        """A wildcard pattern for the models that come from ``kind``, a field of `ModelSource`."""
        names = [name for name, source in self.sources.items() if getattr(source, kind)]
        return "|".join(names) or "no_such_model"

    # -- where it lies ---------------------------------------------------------------------

    def model_folder(self, model: str) -> str:
        """The checkpoint folder that the stage prepare makes."""
        return f"{self.results}/prepare/{model}"

    def model_folders(self) -> list[str]:
        """The folders of all models in use, and of those that they are made from."""
        pairs = self.config["language_models"]
        used = dict.fromkeys([*self.config["models"], *pairs.values()])
        if self.config["overriding"]:
            used[self.config["judge"]] = None
        if self.config["texts"] == "captions":
            used[self.config["captioner"]] = None
        waiting = list(used)
        while waiting:
            bases = [base for base in self.bases(waiting.pop()) if base not in used]
            used |= dict.fromkeys(bases)
            waiting += bases
        return [self.model_folder(model) for model in used]

    @property
    def manifests(self) -> list[str]:
        """The manifests of all images: of those evaluated, and of those that towers learn from and
        are tested on."""
        images, training = self.images, self.config["images"]["training"]
        seen = [*images.training(training), *images.manifests(images.learned)]
        return list(
            dict.fromkeys([*images.manifests(self.entity_sets), *(seen if self.seeing else [])])
        )

    @property
    def datasets(self) -> list[str]:
        """Every task's items, by split."""
        return [
            f"{self.results}/curate/{task}/{split}.jsonl"
            for task in self.config["tasks"]
            for split in SPLITS
        ]

    def entity_table(self, task: str) -> str:
        """The entity table of a task."""
        return self.images.table(self.tasks[task].entity_set)

    def other_task(self, task: str) -> str | None:
        """The task whose vectors are this one's control: of another entity set where there is one,
        the next in the configured order; None where there is no other."""
        tasks = self.config["tasks"]
        at = tasks.index(task)
        others = [*tasks[at + 1 :], *tasks[:at]]
        unrelated = [other for other in others if self.unrelated(task, other)]
        return next(iter(unrelated + others), None)

    def unrelated(self, task: str, other: str) -> bool:
        """Whether two tasks ask about different entity sets."""
        return self.tasks[task].entity_set != self.tasks[other].entity_set

    def sibling_task(self, task: str) -> str | None:
        """The next configured task that asks about the same entities, if there is one."""
        same = [t for t in self.config["tasks"] if not self.unrelated(t, task)]
        sibling = same[(same.index(task) + 1) % len(same)]
        return None if sibling == task else sibling

    def sibling_vectors(self, model: str, template: str, task: str) -> list[str]:
        """The vectors of that task."""
        sibling = self.sibling_task(task)
        place = f"{self.results}/average/{model}/{template}/{sibling}"
        return [] if sibling is None else [f"{place}/vectors.safetensors"]

    def sibling_options(self, model: str, template: str, task: str) -> list[str]:
        """Command line options that name that task and its vectors."""
        vectors = self.sibling_vectors(model, template, task)
        return ["--other", str(self.sibling_task(task)), *vectors] if vectors else []

    # -- tables and figures ----------------------------------------------------------------

    @cached_property
    def left_out(self) -> dict[str, str]:
        """The items that this experiment has nothing to show for, and what to run instead."""
        absent = (
            {} if self.seeing else {"naming": "needs a model whose vision tower is trained here"}
        )
        if not self.config["language_models"]:
            absent |= dict.fromkeys(
                TRANSFER,
                "needs a VLM with its language model under `language_models`; "
                "run it with `--config experiment=transfer`",
            )
        if len(self.seeing) < 2:
            absent |= dict.fromkeys(
                GAP,
                "compares two models whose vision towers are this project's own; "
                "run it with `--config experiment=gap`",
            )
        if not all(map(self.images.described, self.entity_sets)):
            absent |= dict.fromkeys(
                WILD,
                "needs tasks whose text exemplars are descriptions; "
                "run it with `--config experiment=wild`",
            )
        for key, (items, reason) in SWITCHED.items():
            if not self.config[key]:
                told = f"{reason}; run it with `--config {key}=true`"
                absent |= dict.fromkeys(items, told)
        if len(self.config["templates"]) < 2:
            absent["table_6"] = (
                "compares templates, and one alone is configured; "
                "run it with `--config experiment=templates`"
            )
        if len(self.entity_sets) == len(self.config["tasks"]):
            absent |= dict.fromkeys(
                (*CONFLICT, *COMPOSITION),
                "needs two tasks that ask about one entity set; add one under `tasks`",
            )
        return absent

    @property
    def items(self) -> list[str]:
        """The tables and figures that this experiment makes."""
        return [item for item in ITEMS if item not in self.left_out]

    def item_files(self, item: str) -> dict[str, str]:
        """The files of a table or figure, by their endings."""
        figure = item.startswith("figure")
        endings = ["pdf", "png", "csv", "md"] if figure else ["csv", "md", "tex", "json"]
        endings += ["html"] if item == "table_1" else []  # its images need a page
        stem = f"{self.results}/{'figures' if figure else 'tables'}/{item}"
        return {ending: f"{stem}.{ending}" for ending in endings}

    def item_inputs(self, item: str) -> dict[str, list[str]]:
        """What a table or figure shows, by name; no more than it needs."""
        inputs = self.expanded(ITEMS[item].inputs)
        inputs["caption"] = [f"workflow/report/{item}.rst"]
        inputs["seeing"] = [self.model_folder(model) for model in self.seeing]
        published = Path(f"resources/paper/{item}.csv")
        if published.exists():
            inputs["published"] = [published.as_posix()]
        if item == "table_1":
            inputs["page"] = template_files("render/table_1.html.j2")
        return inputs

    def item_models(self, item: str) -> list[str]:
        """The models that a table or figure shows: all, or the VLMs with a language model."""
        return list(self.config["language_models"] if item in TRANSFER else self.config["models"])

    def item_options(self, item: str) -> list[str]:
        """Command line options that only some items take."""
        if item == "table_6":
            return ["--templates", *self.config["templates"]]
        pairs = self.config["language_models"]
        return ["--language-models", *pairs.values()] if item in TRANSFER else []

    def claim_inputs(self) -> dict[str, list[str]]:
        """What the paper's claims are measured on, by name."""
        inputs = self.expanded(CLAIMS)
        if set(CONFLICT) & set(self.left_out):
            del inputs["conflict"]
        published = sorted(Path("resources/paper").glob("*.csv"))
        return inputs | {"paper": [path.as_posix() for path in published]}

    def expanded(self, patterns: Patterns) -> dict[str, list[str]]:
        """Paths by name, from patterns: model by model, and for each model task by task."""
        template, pairs = self.config["templates"][0], self.config["language_models"]
        known = {
            "results": [self.results],
            "model": self.config["models"],
            "template": [template],
            "each_template": self.config["templates"],
            "task": self.config["tasks"],
            "images": self.images.folders(self.entity_sets),
            "vlm": list(pairs),
            "transfer": [f"{vlm}/{template}/from_{reader}" for vlm, reader in pairs.items()],
            "transfer_task": [
                f"{vlm}/{template}/{task}/from_{reader}"
                for vlm, reader in pairs.items()
                for task in self.config["tasks"]
            ],
        }
        paths: dict[str, list[str]] = {}
        for name, pattern in patterns.items():
            fields = [field for _, field, _, _ in Formatter().parse(pattern) if field]
            values = product(*(known[field] for field in fields))
            chosen = (dict(zip(fields, combination, strict=True)) for combination in values)
            paths[name] = [pattern.format(**fields) for fields in chosen]
        return paths

    # -- what makes a job run again --------------------------------------------------------

    def labels_digest(self, task: str) -> str:
        """Changes with the labels of this task or its entities, not with another task's labels."""
        table = self.resources.parent / self.entity_table(task)
        return entities.digest(table, [self.tasks[task].label])

    def definitions(self) -> str:
        """Changes with what resources/tasks.yaml says of a configured task."""
        configured = [self.tasks[task] for task in self.config["tasks"]]
        return hashlib.sha256(repr(configured).encode()).hexdigest()[:16]

    def cache_key(self, wildcards: dict[str, str], inputs: Iterable[str]) -> str:
        """What --cache has to tell apart and Snakemake's hash of a job does not see: the wildcards,
        all that models.yaml says of the model, the installed packages, and the tables and images
        that were collected or curated."""
        packages = sorted(f"{one.name}=={one.version}" for one in metadata.distributions())
        known = [sorted(wildcards.items()), self.sources[wildcards["model"]], packages]
        digest = hashlib.sha256(repr(known).encode())
        for path in map(Path, inputs):
            path.stat()  # what is not there yet, Snakemake asks for again
            if path.name == "images":
                path = path.with_name("manifest.csv")
            if path.suffix in (".csv", ".json", ".jsonl"):
                digest.update(sha256(path).encode())
        return digest.hexdigest()

    # -- what a job with a model asks for --------------------------------------------------

    def sizes(self, task: str) -> dict[str, int]:
        """How many items a task has, by split."""
        return self.config["splits"][self.tasks[task].entity_set]

    def queries(self, tasks: Iterable[str]) -> int:
        """How many queries tasks have: long jobs, and what they wait for, go first, so that none
        runs alone at the end."""
        return sum(sum(self.sizes(task).values()) for task in tasks)

    def memory(self, model: str, attempt: int) -> int:
        """Megabytes of a host's memory for a job with this model; more when it is tried again."""
        return self.sources[model].job_megabytes * attempt

    def runtime(self, model: str, attempt: int) -> int:
        """Minutes for a job with this model on one task; more when it is tried again."""
        return self.sources[model].job_minutes * attempt

    def measured(self) -> list[int]:
        """How many benchmark files there are, and when the newest was written (nanoseconds)."""
        files = Path(self.results, "benchmarks").rglob("*.jsonl")
        written = [path.stat().st_mtime_ns for path in files]
        return [len(written), max(written, default=0)]

    def check_contact(self) -> None:
        """Raise `UserError` where Wikipedia is to be asked, and nobody is named who asks."""
        collected = Path(self.results, "collect/wikipedia/manifest.csv")
        if self.config["refresh"] or not collected.exists():
            check_contact(self.config["wikipedia"]["contact"])

    def wikipedia_options(self) -> list[str]:
        """Command line options that say who collects from Wikipedia, and how fast."""
        options = self.config["wikipedia"].items()
        # In one word, since Snakemake passes over an empty one: who has no contact is told so.
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options]
        return [*words, *(["--refresh"] if self.config["refresh"] else [])]
