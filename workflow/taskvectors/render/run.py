"""What is rendered, where its inputs are, and how an item's files are written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from taskvectors.render.captions import caption

PUBLISHED = Path("resources/paper")


@dataclass(frozen=True)
class Run:
    """One item of one experiment.

    ``seeing`` are the models whose vision tower was trained here; how well it sees stands beside
    every result. ``out`` is a path without ending. ``beside`` are other items whose data the
    item reads; ``resamples`` and ``seed`` are for the items that resample. Table 6 compares
    ``templates``; Tables 4 and 7 have VLMs with their ``language_models``.
    """

    item: str
    experiment: str
    template: str
    models: list[str]
    tasks: list[str]
    results: Path
    seeing: list[str]
    out: Path
    beside: list[str] = field(default_factory=list)
    resamples: int | None = None
    seed: int | None = None
    templates: list[str] = field(default_factory=list)
    language_models: dict[str, str] = field(default_factory=dict)

    def of(self, stage: str, model: str, task: str = "") -> Path:
        """The folder of a stage's results for a model, and for one task of it."""
        return self.results / stage / model / self.template / task

    def data_file(self, item: str) -> Path:
        """The data file of another table or figure."""
        kind = "figures" if item.startswith("figure") else "tables"
        return self.results / kind / f"{item}.csv"

    def naming(self, model: str) -> Path:
        """How well a model's vision tower names images."""
        return self.results / "prepare" / model / "naming.json"

    def caption(self, samples: list[str]) -> str:
        """The item's caption with this run's sample sizes."""
        naming = {model: self.naming(model) for model in self.seeing}
        return caption(self.item, self.experiment, samples, naming)

    def published(self) -> pd.DataFrame:
        """The paper's own numbers of this item."""
        return pd.read_csv(PUBLISHED / f"{self.item}.csv")


def shown_layers(layers: Iterable[int], most: int) -> list[int]:
    """At most ``most`` of the layers, evenly spaced, with the first and the last."""
    ordered = sorted(set(layers))
    if len(ordered) <= most:
        return ordered
    step = (len(ordered) - 1) / (most - 1)
    return [ordered[round(index * step)] for index in range(most)]
