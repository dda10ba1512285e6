"""Which settings bear on which rule's outputs, and what they are today."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.schemas import read_yaml
from taskvectors.record.code import code_hash
from taskvectors.study import entities, items
from taskvectors.study.config import ModelSource, read_models, resolve
from taskvectors.study.tasks import Task, read_tasks

# The keys of config.yaml that each rule's params and inputs are made from, dotted; {entity_set}
# is the task's. What is missing here is bound to no setting. Who collects from Wikipedia, and
# how fast, bears on nothing.
KEYS = {
    "curate": (
        "splits.{entity_set}", "split_seed", "seeds", "exemplars", "images.evaluation",
    ),
    "contact_sheet": ("images.evaluation",),
    "near_duplicates": ("images.evaluation",),
    "croissant": ("experiment", "tasks"),
    "vision_tower": ("vision_tower", "images"),
    "tune": ("tuning", "images"),
    "read": ("specifications", "images.evaluation"),
    "write_validation": ("images.evaluation",),
    "write_test": ("images.evaluation",),
    "qualitative": ("tasks", "specifications", "seeds", "exemplars", "images.evaluation"),
    "average": ("exemplars",),
    "choose_layer": ("tasks",),
    "score": ("tasks", "bootstrap"),
    "score_descriptions": ("tasks", "bootstrap"),
    "score_conflict": ("bootstrap",),
    "site": ("experiment", "tasks"),
    "render": ("experiment", "models", "tasks", "templates.0"),
    "run_config": (
        "experiment", "models", "specifications", "templates", "tasks", "seeds", "exemplars",
        "splits", "split_seed", "images", "vision_tower", "tuning", "language_models", "bootstrap",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """The settings of an experiment today: configuration, tasks and models; the repository's
    root, where the entity tables are."""

    root: Path
    config: dict[str, Any]
    tasks: dict[str, Task]
    models: dict[str, ModelSource]


def present_settings(root: Path, results: str) -> Settings:
    """The settings as the next run would find them, without a command line.

    They are those of config.yaml where it, or a file in resources/experiments, has the
    experiment. An experiment that was given on the command line alone has them in its
    run_config.yaml. Raises `UserError` where they are missing or not valid.
    """
    resources, experiment = root / "resources", Path(results).name
    written = read_yaml(root / "config.yaml")
    own = resources / "experiments" / f"{experiment}.yaml"
    if written.get("experiment") == experiment or own.is_file():
        config = resolve({**written, "experiment": experiment}, {}, resources)
    else:
        config = read_yaml(root / results / "run_config.yaml")
    return Settings(
        root, config, read_tasks(resources / "tasks.yaml"), read_models(resources / "models.yaml")
    )


def code_of(record: dict[str, Any]) -> str:
    """The hash of the code that the record's rule uses, today."""
    item = record["rule"].removeprefix("render_")
    if item != record["rule"]:
        return items.code_of(item)
    words = shlex.split(record["command"])
    return code_hash(words[words.index("-m") + 1])


def changed_settings(record: dict[str, Any], settings: Settings) -> list[str]:
    """What bears on a record's output and is not as it was, in words."""
    rule, wildcards = record["rule"], record["wildcards"]
    task = settings.tasks.get(wildcards.get("task", ""))
    changed = []
    for pattern in KEYS.get("render" if rule.startswith("render_") else rule, ()):
        key = pattern.format(entity_set=task.entity_set if task else "")
        was, now = at(record["config"], key), at(settings.config, key)
        if was != now:
            changed.append(f"{key} was {was} and is {now}")
    for name, now in defined(wildcards, settings).items():
        was = record["params"].get(name, now)
        if texts(was) != texts(now):
            changed.append(f"the {name} was {was!r} and is {now!r}")
    return changed


def texts(value: Any) -> list[str]:
    """A param's words as text: a hash of decimal digits alone is recorded as a number."""
    return [str(word) for word in (value if isinstance(value, list) else [value])]


def at(config: dict[str, Any], key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    value: Any = config
    for part in key.split("."):
        if isinstance(value, list):
            value = value[int(part)]
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return value


def defined(wildcards: dict[str, str], settings: Settings) -> dict[str, Any]:
    """What the tasks, entity tables and models.yaml say of a job, by the names of params."""
    tables = settings.root / "resources/entities"
    sets = sorted({task.entity_set for task in settings.tasks.values()})
    found: dict[str, Any] = {"entities": [entities.digest(tables / f"{name}.csv") for name in sets]}
    if task := settings.tasks.get(wildcards.get("task", "")):
        found |= {"label": task.label, "instruction": task.instruction}
        found["labels"] = entities.digest(tables / f"{task.entity_set}.csv", [task.label])
        found["tokens"] = json.dumps(task.tokens, sort_keys=True)
    if model := settings.models.get(wildcards.get("model", "")):
        names = ("dtype", "hub", "revision", "package", "file")
        found |= {name: getattr(model, name) for name in names}
    return found
