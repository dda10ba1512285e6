"""What an experiment's settings are today, and which of a record's job are not as they were.

A job's params say which settings bear on it, by their names: that of a key in config.yaml
(``exemplars``), of a key below another (``bootstrap_seed``), or of what resources/ says of the
job's own task and model (``label``, ``revision``).
"""

import json
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from taskvectors.audit.lineage import Record
from taskvectors.base.errors import UserError
from taskvectors.base.schemas import read_yaml
from taskvectors.record.code import code_hash
from taskvectors.study.config import read_models, resolve
from taskvectors.study.plan import Plan
from taskvectors.study.tasks import read_tasks

COLLECTING = {"wikipedia", "refresh"}  # who collects, and how fast, bears on no output


def read_plan(root: Path, results: str, records: Iterable[Record] = ()) -> Plan:
    """The experiment as the next run would find it, without a command line.

    Its settings are those of config.yaml where it, or a file in resources/experiments, has the
    experiment. An experiment that was given on the command line alone has those of the job that
    ended last, by its record. Raises `UserError` where they are missing or not valid.
    """
    if not (root / "config.yaml").exists() and not (root / "Snakefile").exists():
        raise UserError(
            f"{root} is no checkout of this project, which results are held to; move {results} to "
            "the same place in one, and verify it there."
        )
    resources, experiment = root / "resources", Path(results).name
    written = read_yaml(root / "config.yaml")
    own = resources / "experiments" / f"{experiment}.yaml"
    if written.get("experiment") == experiment or own.is_file():
        config = resolve({**written, "experiment": experiment}, {}, resources)
    elif newest := max(records, key=lambda record: record.ended, default=None):
        config = newest.config
    else:
        raise UserError(
            f"neither config.yaml nor a record says how {results} was made; run it again."
        )
    tasks, models = read_tasks(resources / "tasks.yaml"), read_models(resources / "models.yaml")
    return Plan(config, tasks, models, resources)


def code_of(record: Record) -> str | None:
    """The hash of the code that the record's command runs today; None where it is gone."""
    words = shlex.split(record.command)
    try:
        return code_hash(words[words.index("-m") + 1])
    except ValueError:
        return None


def changed_settings(record: Record, plan: Plan) -> list[str]:
    """What bears on a record's output and is not as it was, in words."""
    now = settings_of(record.wildcards, plan)
    if not record.settings.get("definitions"):  # rendered, and shows nothing of tasks.yaml
        del now["definitions"]
    return [
        f"{name} was {was!r} and is {now[name]!r}"
        for name, was in record.settings.items()
        if name in now and was != now[name] and _texts(was) != _texts(now[name])
    ]


def settings_of(wildcards: dict[str, str], plan: Plan) -> dict[str, Any]:
    """All that could be a param of the job with these wildcards, by the params' names."""
    config = {key: value for key, value in plan.config.items() if key not in COLLECTING}
    below = {key: value for key, value in config.items() if isinstance(value, dict)}
    found = {**config, "template": config["templates"][0]}
    found |= {f"{key}_{name}": one for key, value in below.items() for name, one in value.items()}
    found["definitions"] = plan.definitions()
    found["labels"] = [plan.labels_digest(name) for name in config["tasks"]]
    if task := plan.tasks.get(wildcards.get("task", "")):
        found |= {**vars(task), **config["splits"].get(task.entity_set, {})}
        found["labels"] = plan.labels_digest(task.name)
        for words in ("wordings", "tokens"):
            found[words] = json.dumps(getattr(task, words), sort_keys=True)
        found["rendering"] = plan.images.rendering(task.entity_set)
    found |= _tables_of(wildcards.get("entity_set"), plan)
    if model := plan.sources.get(wildcards.get("model", "")):
        found |= {**vars(model), "specifications": plan.specifications(model.name)}
    return found


def _tables_of(entity_set: str | None, plan: Plan) -> dict[str, Any]:
    """What collecting takes of tables: of one entity set's, or of all that Wikipedia shows."""
    images = plan.images
    if entity_set is None:
        asked = images.of_wikipedia(bool(plan.seeing))
        return {"entities": [images.entities_digest(name) for name in asked]}
    if not (images.root / images.table(entity_set)).is_file():
        return {"entities": None}
    found = {"entities": images.entities_digest(entity_set)}
    own = entity_set in images.own_tables
    return {**found, "own_rows": images.own_rows(entity_set)} if own else found


def _texts(value: Any) -> list[str]:
    """A param's words as text: a hash of decimal digits alone is recorded as a number."""
    return [str(word) for word in (value if isinstance(value, list) else [value])]
