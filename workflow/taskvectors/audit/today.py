"""What an experiment's settings are today, and which of a record's job are not as they were.

A job's params say which settings bear on it, by their names: that of a key in config.yaml
(``exemplars``), of a key below another (``bootstrap_seed``), or of what resources/ says of the
job's own task and model (``label``, ``revision``).
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskvectors.audit.lineage import Record
from taskvectors.base.schemas import read_yaml
from taskvectors.record.code import code_hash
from taskvectors.study import entities
from taskvectors.study.config import ModelSource, read_models, resolve
from taskvectors.study.tasks import Task, read_tasks

COLLECTING = {"wikipedia", "refresh"}  # who collects, and how fast, bears on no output


@dataclass(frozen=True)
class Today:
    """An experiment's configuration, the tasks and the models; ``tables`` is the folder of the
    entity tables."""

    config: dict[str, Any]
    tasks: dict[str, Task]
    models: dict[str, ModelSource]
    tables: Path


def read_today(root: Path, results: str) -> Today:
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
    return Today(
        {key: value for key, value in config.items() if key not in COLLECTING},
        read_tasks(resources / "tasks.yaml"),
        read_models(resources / "models.yaml"),
        resources / "entities",
    )


def code_of(record: Record) -> str | None:
    """The hash of the code that the record's command runs today; None where it is gone."""
    words = shlex.split(record.command)
    try:
        return code_hash(words[words.index("-m") + 1])
    except ValueError:
        return None


def changed_settings(record: Record, today: Today) -> list[str]:
    """What bears on a record's output and is not as it was, in words."""
    now = settings_of(record.wildcards, today)
    return [
        f"{name} was {was!r} and is {now[name]!r}"
        for name, was in record.settings.items()
        if name in now and _texts(was) != _texts(now[name])
    ]


def settings_of(wildcards: dict[str, str], today: Today) -> dict[str, Any]:
    """All that could be a param of the job with these wildcards, by the params' names."""
    config = today.config
    below = {key: value for key, value in config.items() if isinstance(value, dict)}
    found = {**config, "template": config["templates"][0]}
    found |= {f"{key}_{name}": one for key, value in below.items() for name, one in value.items()}
    sets = sorted({task.entity_set for task in today.tasks.values()})
    found["entities"] = [entities.digest(today.tables / f"{name}.csv") for name in sets]
    if task := today.tasks.get(wildcards.get("task", "")):
        found |= {**vars(task), **config["splits"].get(task.entity_set, {})}
        found["labels"] = entities.digest(today.tables / f"{task.entity_set}.csv", [task.label])
        found["tokens"] = json.dumps(task.tokens, sort_keys=True)
    if model := today.models.get(wildcards.get("model", "")):
        found |= vars(model)
        if not model.image_icl:
            found["specifications"] = [s for s in config["specifications"] if s != "image_icl"]
    return found


def _texts(value: Any) -> list[str]:
    """A param's words as text: a hash of decimal digits alone is recorded as a number."""
    return [str(word) for word in (value if isinstance(value, list) else [value])]
