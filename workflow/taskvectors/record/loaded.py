"""What a stage tells the record of its outputs about its model, and how that was asked.

`taskvectors.record` names a file in the environment of the stage's command; a stage that runs
without it tells nobody.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.files import read_json, write_json

REPORT = "TASKVECTORS_LOADED"


@dataclass(frozen=True)
class LoadedModel:
    """A model as it was loaded.

    ``revision`` is that of its hub, or its folder's hash, None where there is no folder yet;
    ``quantisation`` is None or nf4; ``image_backend`` is None for a language model; ``notes``
    say what differs from the model's own forward pass or published runs.
    """

    name: str
    revision: str | None
    dtype: str
    quantisation: str | None
    image_backend: str | None
    notes: list[str]


def report_loaded(model: LoadedModel, device: str) -> None:
    """Report the model that was loaded, and the device where it runs."""
    _report(model=asdict(model), device=device)


def report_template(template: Mapping[str, Any]) -> None:
    """Report how prompts are laid out: a template's fields, a model's own pieces among them."""
    _report(template=template)


def report_answers(forced: Sequence[bool]) -> None:
    """Report how many answers the model gave, and to how many of them the prompt was cut at a
    delimiter: ``forced`` has one for each."""
    _report(answers={"count": len(forced), "forced_boundary": sum(forced)})


def _report(**found: Any) -> None:
    """Add to the report, where one is asked for."""
    if REPORT in os.environ:
        path = Path(os.environ[REPORT])
        write_json(path, {**(read_json(path) if path.is_file() else {}), **found})
