"""The configuration: merged, checked, and checked against the files that it names.

``python -m taskvectors.study.config`` writes it as YAML, as it was run.
"""

import json
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_text
from taskvectors.base.schemas import check, parse_yaml, read_yaml
from taskvectors.study.entities import read_entities
from taskvectors.study.images import ImagePlan
from taskvectors.study.instructions import check_wordings
from taskvectors.study.own_images import check_own_images
from taskvectors.study.prompts import read_templates
from taskvectors.study.tasks import Task, read_tasks

DEFAULT = "embedded"  # the experiment of config.yaml itself


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from: one of ``language_model``, ``open``, ``tuned``, ``package`` with
    ``file``, or ``hub`` or ``folder`` with ``revision`` (see resources/models.yaml).

    ``parameters`` are in billions. The text model, vision model and paradigm are for Table 5; a
    language model has no vision model."""

    name: str
    dtype: str
    gpus: int
    parameters: float
    image_icl: bool
    text_model: str
    paradigm: str
    vision_model: str | None = None
    language_model: str | None = None
    open: str | None = None
    tuned: str | None = None
    package: str | None = None
    file: str | None = None
    hub: str | None = None
    folder: str | None = None
    revision: str | None = None

    @property
    def weight_megabytes(self) -> float:
        """Megabytes of its weights as they are loaded, before any quantisation."""
        return self.parameters * 1000 * (4 if self.dtype == "float32" else 2)

    @property
    def job_megabytes(self) -> int:
        """Megabytes of a host's memory for a job: the weights, which are loaded there first, and
        room to work."""
        return round(2500 + 1.3 * self.weight_megabytes)

    @property
    def job_minutes(self) -> int:
        """Minutes for a job on one task."""
        return round(30 + 15 * self.parameters)


def read_models(path: Path) -> dict[str, ModelSource]:
    """All models by name. Raises `UserError` where the file is not valid."""
    raw = read_yaml(path)
    check(raw, "models", str(path))
    models = {name: ModelSource(name=name, **fields) for name, fields in raw.items()}
    for model in models.values():
        _check_made_of(model, models, path)
    return models


def _check_made_of(model: ModelSource, models: dict[str, ModelSource], path: Path) -> None:
    """What a model is made of is known, and not made of the model itself."""
    line = [model]
    while name := line[-1].language_model or line[-1].open or line[-1].tuned:
        if name not in models:
            raise UserError(
                f"{path}: {line[-1].name} is made of {name!r}, which is no model of the file; it "
                f"has {', '.join(models)}."
            )
        if models[name] in line:
            raise UserError(f"{path}: {name} is made of itself; name the model that it grows from.")
        line.append(models[name])


def resolve(
    settings: dict[str, Any],
    command_line: dict[str, Any],
    resources: Path,
    named: str | None = None,
) -> dict[str, Any]:
    """Merge and check a configuration.

    ``settings`` is config.yaml with whatever was already merged into it; the file of the
    experiment in ``resources/experiments`` goes over it, and ``command_line`` over both.
    ``named`` is an experiment that was asked for by its name alone, and so must be known.
    Raises `UserError` naming the key and a remedy.
    """
    experiment = settings.get("experiment")
    overrides = resources / "experiments" / f"{experiment}.yaml"
    if named is not None:
        _check_experiment(named, resources)
    merged = dict(settings)
    if isinstance(experiment, str) and (overrides.exists() or overrides.is_symlink()):
        merged.update(_read_experiment(overrides))
    merged.update(_parsed(command_line))
    check(merged, "config", "the configuration (config.yaml and --config)")
    _check_names(merged, resources)
    return merged


def _read_experiment(path: Path) -> dict[str, Any]:
    """An experiment's keys. Raises `UserError` where its file has none."""
    own = read_yaml(path)
    if not isinstance(own, dict):
        raise UserError(
            f"{path} has no keys; write what differs from config.yaml, such as `seeds: [1, 2]`."
        )
    return own


def _check_experiment(named: str, resources: Path) -> None:
    known = [DEFAULT, *sorted(path.stem for path in resources.glob("experiments/*.yaml"))]
    if named not in known:
        close = get_close_matches(named, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise UserError(
            f"unknown experiment {named!r}{hint} Known are {', '.join(known)}; one of your own is "
            "a file in resources/experiments, or a --configfile that names it."
        )


def _parsed(value: Any) -> Any:
    """The command line's values: strings, wherever they stand, read as YAML scalars."""
    if isinstance(value, dict):
        return {key: _parsed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_parsed(inner) for inner in value]
    if not isinstance(value, str):
        return value
    try:
        return parse_yaml(value)
    except ValueError as error:
        raise UserError(
            f"--config has {value!r}, which is not valid YAML ({error}); put it in quotes for the "
            "shell, with all its brackets."
        ) from error


def _check_names(config: dict[str, Any], resources: Path) -> None:
    tasks = read_tasks(resources / "tasks.yaml")
    models = read_models(resources / "models.yaml")
    templates = read_templates(resources / "templates.yaml")
    for key, known in (("models", models), ("tasks", tasks), ("templates", templates)):
        for name in config[key]:
            if name not in known:
                raise UserError(
                    f"the configuration's {key}: unknown {key[:-1]} {name!r}; "
                    f"resources/{key}.yaml has {', '.join(known)}."
                )
    _check_pairs(config, models)
    for key in ("judge", "captioner"):
        if config[key] not in models:
            raise UserError(
                f"the configuration's {key}: unknown model {config[key]!r}; "
                f"resources/models.yaml has {', '.join(models)}."
            )
    if models[config["captioner"]].vision_model is None:
        raise UserError(
            f"the configuration's captioner: {config['captioner']!r} takes no images; name a VLM."
        )
    for name in config["tasks"]:
        if tasks[name].entity_set not in config["splits"]:
            raise UserError(
                f"the configuration's splits: the task {name} needs sizes for the entity set "
                f"{tasks[name].entity_set!r}; add them."
            )
    images = ImagePlan(config, {tasks[name].entity_set for name in config["tasks"]}, resources)
    _check_tables(images)
    _check_sizes(config, tasks, images)
    if config["instructions"]:
        check_wordings(tasks[name] for name in config["tasks"])
    if config["images"]["evaluation"] in config["images"]["training"]:
        raise UserError(
            f"the configuration's images: {config['images']['evaluation']!r} is both the "
            "evaluation's rendering and a training rendering; take it out of one."
        )


def _check_tables(images: ImagePlan) -> None:
    """Each folder is of an entity set that a task asks about, and the tables are there."""
    for name, table in images.own_tables.items():
        if name not in images.entity_sets:
            raise UserError(
                f"the configuration's own_images: no task asks about {name!r}, the entity set of "
                f"{table.parent}; add one under `tasks`, or name the folder after the entity set "
                f"({', '.join(sorted(images.entity_sets))})."
            )
        check_own_images(images.root / table, images.root / images.table(name))
    for name in images.learned:
        if not (images.root / images.table(name)).is_file():
            raise UserError(
                f"the configuration's learned_sets: {name!r} has no table; it needs "
                f"{images.table(name)}, or a folder under `own_images`."
            )


def _check_sizes(config: dict[str, Any], tasks: dict[str, Task], images: ImagePlan) -> None:
    """What can be drawn of an entity set, as far as its table tells."""
    for name in sorted({tasks[task].entity_set for task in config["tasks"]}):
        sizes = config["splits"][name]
        entities = len(read_entities(images.root / images.table(name)))
        if sum(sizes.values()) > entities:
            raise UserError(
                f"the configuration's splits: {name} has {entities} entities, fewer than the "
                f"{sum(sizes.values())} of its splits; lower them."
            )
        mediated = config["mediation"]["exemplars"] if config["heads"] else 0
        drawn = {"exemplars": (config["exemplars"], min(sizes.values()))}
        drawn["mediation.exemplars"] = (mediated, sizes["validation"])
        for key, (exemplars, items) in drawn.items():
            if exemplars >= items:
                raise UserError(
                    f"the configuration's {key}: a split of {items} {name} cannot give {exemplars} "
                    "exemplars beside the query; lower it, or raise the split's size."
                )


def _check_pairs(config: dict[str, Any], models: dict[str, ModelSource]) -> None:
    """Each pair is a configured VLM and a known language model."""
    for model, reader in config["language_models"].items():
        if model not in config["models"] or models[model].vision_model is None:
            raise UserError(
                f"the configuration's language_models: {model!r} is no VLM that `models` has; "
                "add it there, or take the pair out."
            )
        if reader not in models or models[reader].vision_model is not None:
            known = [name for name, source in models.items() if source.vision_model is None]
            raise UserError(
                f"the configuration's language_models: {reader!r} is no language model; "
                f"resources/models.yaml has {', '.join(known)}."
            )


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--merged", required=True, help="the merged configuration as JSON")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    merged = json.loads(args.merged)
    write_text(args.out, yaml.safe_dump(merged, sort_keys=True, allow_unicode=True))


if __name__ == "__main__":
    run_command(main)
