"""What is rendered, where its inputs are, and how an item's files are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.files import write_text
from taskvectors.render.captions import caption
from taskvectors.render.style import save_figure

PUBLISHED = Path("resources/paper")


@dataclass(frozen=True)
class Run:
    """One item of one experiment.

    ``seeing`` are the models whose eyes were trained here; how well they see stands beside
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
        """How well a model's eyes name pictures."""
        return self.results / "prepare" / model / "naming.json"

    def caption(self, samples: list[str]) -> str:
        """The item's caption with this run's sample sizes."""
        naming = {model: self.naming(model) for model in self.seeing}
        return caption(self.item, self.experiment, samples, naming)

    def published(self) -> pd.DataFrame:
        """The paper's own numbers of this item."""
        return pd.read_csv(PUBLISHED / f"{self.item}.csv")

    def write_figure(
        self,
        figure: Figure,
        data: pd.DataFrame,
        samples: list[str],
        further_pages: Sequence[Figure] = (),
    ) -> None:
        """Write the figure, the data that it shows and its caption."""
        write_text(self.out.with_suffix(".csv"), data.to_csv(index=False, lineterminator="\n"))
        write_text(self.out.with_suffix(".md"), self.caption(samples) + "\n")
        pages = [figure, *further_pages]
        save_figure(pages, self.out)
        for page in pages:
            plt.close(page)


def shown_layers(layers: Iterable[int], most: int) -> list[int]:
    """At most ``most`` of the layers, evenly spaced, with the first and the last."""
    ordered = sorted(set(layers))
    if len(ordered) <= most:
        return ordered
    step = (len(ordered) - 1) / (most - 1)
    return [ordered[round(index * step)] for index in range(most)]
