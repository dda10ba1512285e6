"""Figure 11: validation accuracy by layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator

from taskvectors.base.figures import (
    BASELINE_COLOUR,
    SPECIFICATION_COLOURS,
    apply_style,
    mark_absent,
)
from taskvectors.base.files import read_json
from taskvectors.render.captions import sample_sentence
from taskvectors.render.drawn import write_figure
from taskvectors.render.run import Run
from taskvectors.score.layer import by_layer
from taskvectors.study.predictions import read_predictions


def figure_11_data(
    layers_of: dict[str, pd.DataFrame], baselines: dict[str, pd.DataFrame], tasks: list[str]
) -> pd.DataFrame:
    """Validation accuracy of text ICL on image queries: patched at each layer, and in context.

    One row per model, task, method and layer (missing for text_icl_xbase): mean, least and
    greatest accuracy over seeds, under the paper's metric.
    """
    parts = []
    for model, layers in layers_of.items():
        for table, method in ((layers, "text_icl_xpatch"), (baselines[model], "text_icl_xbase")):
            chosen = table[(table["method"] == method) & (table["metric"] == "paper")]
            grouped = chosen.groupby(["task", "method", "layer"], dropna=False)["accuracy"]
            summary = grouped.agg(accuracy="mean", least="min", greatest="max").reset_index()
            items = chosen.groupby("task")["items"].first()
            parts.append(summary.assign(model=model, items=summary["task"].map(items)))
    columns = ["model", "task", "method", "layer", "accuracy", "least", "greatest", "items"]
    data = pd.concat(parts)[columns]
    order = pd.Categorical(data["task"], categories=tasks)
    return data.assign(order=order).sort_values(["model", "order", "method", "layer"])[columns]


def draw_figure_11(data: pd.DataFrame, chosen: dict[str, int], tasks: list[str]) -> Figure:
    """A panel per model and task; the chosen layer is a thin line."""
    apply_style()
    models = list(chosen)
    colour = SPECIFICATION_COLOURS["text_icl"]
    figure, axes = plt.subplots(
        len(models),
        len(tasks),
        figsize=(1.25 * len(tasks) + 0.4, 1.55 * len(models) + 0.5),
        sharex="row",
        sharey=True,
        squeeze=False,
    )
    for row, model in zip(axes, models, strict=True):
        for axis, task in zip(row, tasks, strict=True):
            part = data[(data["model"] == model) & (data["task"] == task)]
            _draw_panel(axis, part, colour, chosen[model])
        row[0].set_ylabel(f"{model}\nvalidation accuracy")
    for axis, task in zip(axes[0], tasks, strict=True):
        axis.set_title(task)
    for axis in axes[-1]:
        axis.set_xlabel("layer")
        axis.xaxis.set_major_locator(MultipleLocator(10))
    handles = [
        Line2D([], [], color=colour, label="text_icl_xpatch"),
        Line2D([], [], color=BASELINE_COLOUR, linestyle=":", label="text_icl_xbase (bands: seeds)"),
        Line2D([], [], color="#999999", linewidth=0.8, label="chosen layer"),
    ]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False
    )
    figure.tight_layout()
    return figure


def _draw_panel(axis: Axes, part: pd.DataFrame, colour: str, chosen: int) -> None:
    if part.empty:
        mark_absent(axis, "not measured")
        return
    patched = part[part["method"] == "text_icl_xpatch"].sort_values("layer")
    base = part[part["method"] == "text_icl_xbase"]
    layers = patched["layer"].to_numpy(dtype=float)
    axis.axvline(chosen, color="#999999", linewidth=0.8)
    axis.fill_between(layers, patched["least"], patched["greatest"], color=colour, alpha=0.25)
    axis.plot(layers, patched["accuracy"], color=colour)
    for line in base.itertuples():
        axis.axhspan(line.least, line.greatest, color=BASELINE_COLOUR, alpha=0.12, lw=0)
        axis.axhline(line.accuracy, color=BASELINE_COLOUR, linestyle=":")
    axis.set_ylim(0, max(0.6, float(np.ceil(part["greatest"].max() * 10) / 10)))


def render_figure_11(run: Run) -> None:
    """Write the figure and its data from validation accuracies and validation baselines."""
    layers, baselines, chosen = {}, {}, {}
    for model in run.models:
        layers[model] = pd.read_csv(run.of("score", model) / "by_layer.csv")
        chosen[model] = read_json(run.of("score", model) / "layer.json")["layer"]
        paths = [run.of("read", model, task) / "baselines.parquet" for task in run.tasks]
        found = read_predictions(paths)
        baselines[model] = by_layer(found[found["split"] == "validation"])
    data = figure_11_data(layers, baselines, run.tasks)
    samples = []
    for model in run.models:
        items = data[data["model"] == model].groupby("task")["items"].max().reindex(run.tasks)
        samples.append(sample_sentence(model, "validation", items, layers[model]["seed"].nunique()))
    write_figure(run, draw_figure_11(data, chosen, run.tasks), data, samples)


RENDERERS = {"figure_11": render_figure_11}
