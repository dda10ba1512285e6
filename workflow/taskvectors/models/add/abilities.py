"""What the workflow can do with a checkpoint, told by its configuration and tokenizer alone."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import transformers
from transformers import CONFIG_MAPPING

from taskvectors.base.errors import UserError
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.models.checkpoint import read_config
from taskvectors.models.foreign import NO_CODE
from taskvectors.models.judged import first_tokens
from taskvectors.models.registry import HELD, REFUSED, SINGLE_IMAGE, adapter_class
from taskvectors.models.weights import NO_WEIGHTS
from taskvectors.study.entities import read_entities
from taskvectors.study.first_tokens import FirstTokens
from taskvectors.study.prompts import Template, Text, read_templates
from taskvectors.study.tasks import read_tasks


@dataclass(frozen=True)
class Boundaries:
    """How a tokenizer takes one template: of ``exemplars``, the pairs of an entity and a label of
    all tasks, it merges a delimiter with its neighbour in ``merged``, and the boundary is ``made``
    there, or cannot be.

    ``missing`` says why the model has no such template, if it has none.
    """

    template: str
    exemplars: int
    merged: int = 0
    made: bool = False
    missing: str | None = None


def empty_adapter(folder: Path, name: str) -> Adapter:
    """The checkpoint's adapter around a model without weights.

    Raises `UserError` where the architecture cannot be studied, saying why.
    """
    config = read_config(folder)
    kind = adapter_class(config.get("model_type"))
    if kind is None:
        raise UserError(f"{name} cannot be studied: {why_not(config)}.")
    # A hub's files lie in a folder that nobody knows.
    try:
        adapter = kind.load(folder, name, NO_WEIGHTS)
    except UserError as error:
        raise UserError(str(error).replace(str(folder), name)) from error
    adapter.tokenizer.name_or_path = name
    return adapter


def why_not(config: dict[str, Any]) -> str:
    """Why an architecture has no adapter, and what to do."""
    model_type = config.get("model_type")
    if model_type in REFUSED:
        return f"in the architecture {model_type!r} {REFUSED[model_type]}"
    if model_type in CONFIG_MAPPING:
        return (
            f"the architecture {model_type!r} neither writes text nor answers about images; "
            "choose a language model or a VLM"
        )
    if "auto_map" in config:
        return f"the architecture {model_type!r} {NO_CODE}"
    return (
        f"the architecture {model_type!r} is unknown to transformers "
        f"{transformers.__version__}; a newer one may know it (envs/direct.txt, `make lock`)"
    )


def takes_several_images(model_type: str, adapter: Adapter, said: bool | None) -> bool:
    """Whether prompts may hold several images: what a person ``said``, else what is known.

    Raises `UserError` where neither is.
    """
    if adapter.image_text is None:
        return False
    if said is None and model_type not in HELD:
        raise UserError(
            f"nothing here says whether {adapter.name} was trained on several images in a prompt; "
            "look it up, and give --image-icl or --no-image-icl."
        )
    return model_type not in SINGLE_IMAGE if said is None else said


def exemplars_by_task(resources: Path) -> dict[str, list[tuple[str, str]]]:
    """Every entity with its label, for every task whose entity table stands in ``resources``, and
    not in a folder of one's own."""
    pairs = {}
    for task in read_tasks(resources / "tasks.yaml").values():
        table = resources / "entities" / f"{task.entity_set}.csv"
        if table.is_file():
            entities = read_entities(table)
            pairs[task.name] = [(entity.name, entity.labels[task.label]) for entity in entities]
    return pairs


def exemplars_of_all_tasks(resources: Path) -> list[tuple[str, str]]:
    """The same of all tasks together."""
    return [pair for pairs in exemplars_by_task(resources).values() for pair in pairs]


def beginnings(adapter: Adapter, resources: Path) -> dict[str, dict[str, FirstTokens]]:
    """How each task's labels begin, by template; without the templates that the model does not
    have, or whose delimiter its tokenizer merges with a label."""
    found = {}
    for name, template in read_templates(resources / "templates.yaml").items():
        with suppress(UserError):
            layout = fitted(template, adapter)
            found[name] = {
                task: first_tokens(adapter, layout, [label for _, label in pairs])
                for task, pairs in exemplars_by_task(resources).items()
            }
    return found


def boundaries(adapter: Adapter, resources: Path) -> list[Boundaries]:
    """How the model's tokenizer takes each template of ``resources/templates.yaml``."""
    pairs = exemplars_of_all_tasks(resources)
    found = []
    for name, template in read_templates(resources / "templates.yaml").items():
        try:
            layout = fitted(template, adapter)
        except UserError as error:
            reason = str(error).split(";")[0]
            found.append(Boundaries(name, len(pairs), missing=reason))
            continue
        merged = sum(merges(adapter, layout, entity, label) for entity, label in pairs)
        found.append(Boundaries(name, len(pairs), merged, adapter.cuttable))
    return found


def merges(adapter: Adapter, template: Template, entity: str, label: str) -> bool:
    """Whether the tokenizer merges a delimiter, or the end of the exemplars, with a neighbour."""
    try:
        return adapter.encode(template.exemplars([(Text(entity), label)])).forced_boundary
    except UserError:  # it does, and no boundary can be made
        return True
