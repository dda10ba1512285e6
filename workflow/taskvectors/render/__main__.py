"""``python -m taskvectors.render``: one table or figure from files on disk."""

from __future__ import annotations

import argparse
import logging
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib import pyplot as plt

from taskvectors.choose import by_layer
from taskvectors.errors import run_command
from taskvectors.files import read_json, write_text
from taskvectors.predictions import read_predictions
from taskvectors.progress import start_logging
from taskvectors.render.captions import caption, naming_table
from taskvectors.render.figures import draw_figure_11, figure_11_data
from taskvectors.render.style import save_figure
from taskvectors.render.tables import PUBLISHED, shown, table_3, table_8, write_table

TABLES = {"table_3": table_3, "table_8": table_8}
ITEMS = (*TABLES, "figure_11", "naming")
log = logging.getLogger("taskvectors")


@dataclass(frozen=True)
class Run:
    """What is rendered and where its inputs are.

    ``seeing`` are the models whose eyes were trained here; how well they see stands beside
    every result.
    """

    item: str
    experiment: str
    template: str
    models: list[str]
    tasks: list[str]
    results: Path
    seeing: list[str]
    out: Path

    def score_folder(self, model: str) -> Path:
        return self.results / "score" / model / self.template

    def naming(self, model: str) -> Path:
        return self.results / "prepare" / model / "naming.json"

    def caption(self, scores: dict[str, pd.DataFrame] | None = None) -> str:
        naming = {model: self.naming(model) for model in self.seeing}
        return caption(self.item, self.experiment, scores or {}, naming)


def render_table(run: Run) -> None:
    """Write a table of the paper from the models' scores and the published numbers."""
    scores = {model: pd.read_csv(run.score_folder(model) / "accuracy.csv") for model in run.models}
    published = pd.read_csv(PUBLISHED / f"{run.item}.csv")
    table = TABLES[run.item](scores, published, run.tasks)
    write_table(table, shown(table), run.caption(scores), run.out)


def render_naming(run: Run) -> None:
    """Write how well the embedded model's eyes name pictures."""
    tables = [naming_table(run.naming(model)).assign(model=model) for model in run.seeing]
    table = pd.concat(tables)[["model", "entity_set", "accuracy", "pictures"]]
    printed = table.assign(accuracy=[f"{value:.3f}" for value in table["accuracy"]])
    write_table(table, printed, run.caption(), run.out)


def render_figure_11(run: Run) -> None:
    """Write the figure and its data from validation accuracies and validation baselines."""
    layers, baselines, chosen = {}, {}, {}
    for model in run.models:
        layers[model] = pd.read_csv(run.score_folder(model) / "by_layer.csv")
        chosen[model] = read_json(run.score_folder(model) / "layer.json")["layer"]
        folder = run.results / "read" / model / run.template
        found = read_predictions([folder / task / "baselines.parquet" for task in run.tasks])
        baselines[model] = by_layer(found[found["split"] == "validation"])
    data = figure_11_data(layers, baselines, run.tasks)
    write_text(run.out.with_suffix(".csv"), data.to_csv(index=False, lineterminator="\n"))
    figure = draw_figure_11(data, chosen, run.tasks)
    save_figure(figure, run.out)
    plt.close(figure)


RENDERERS = {"figure_11": render_figure_11, "naming": render_naming}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m taskvectors.render", description=__doc__)
    parser.add_argument("--item", required=True, choices=ITEMS)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--template", required=True)
    parser.add_argument("--models", required=True, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--results", required=True, type=Path, help="results/<experiment>")
    parser.add_argument("--seeing", nargs="*", default=[], help="models with eyes trained here")
    parser.add_argument("--out", required=True, type=Path, help="path without ending")
    parser.add_argument("--log", type=Path)
    settings = vars(parser.parse_args())
    start_logging(settings.pop("log"))
    run = Run(**settings)
    RENDERERS.get(run.item, render_table)(run)
    log.info("rendered %s", run.out)


if __name__ == "__main__":
    run_command(main)
