"""Validation accuracy of vectors that are added, by layer and strength."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from taskvectors.base.figures import apply_style, say_absent
from taskvectors.base.files import read_json
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.study.heads import FUNCTION, INJECT
from taskvectors.study.predictions import method_name

DRAWN = "paper"
# way, query modality; from left to right
PANELS = [(way, query) for query in ("image", "text") for way in (FUNCTION, INJECT)]
TITLES = {FUNCTION: "function vector", INJECT: "task vector"}
KEYS = ["model", "method", "query_modality", "layer", "strength", "metric"]

Chosen = Mapping[str, Mapping[str, Any]]


def over_tasks(strengths: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Accuracy averaged over tasks, and the items of all; what lacks a task is left out."""
    grouped = strengths[strengths["task"].isin(tasks)].groupby(KEYS, sort=False)
    table = grouped.agg(accuracy=("accuracy", "mean"), items=("items", "sum"))
    return table[grouped["task"].nunique() == len(tasks)].reset_index()


def draw_strengths(
    data: pd.DataFrame, chosen: Mapping[str, Chosen], strengths: Sequence[float]
) -> Figure:
    """A row of panels per model, a panel per way and query modality, a line per strength: the
    darker, the stronger. A ring is what was chosen; ``chosen`` is ``injection.json`` by model."""
    apply_style()
    colours = plt.get_cmap("Blues")(np.linspace(0.35, 1, len(strengths)))
    figure, axes = plt.subplots(
        len(chosen),
        len(PANELS),
        figsize=(1.9 * len(PANELS) + 0.4, 1.8 * len(chosen) + 0.5),
        sharey="row",
        squeeze=False,
    )
    for line, (model, own) in zip(axes, chosen.items(), strict=True):
        for axis, (way, query) in zip(line, PANELS, strict=True):
            method = method_name("text_icl", query, way)
            axis.set_title(f"{TITLES[way]}, {query} queries", fontsize=7)
            part = data[(data["model"] == model) & (data["method"] == method)]
            _draw_panel(axis, part, own[way], dict(zip(strengths, colours, strict=True)))
        line[0].set_ylabel(f"{model}\nvalidation accuracy")
        # Of all panels at once, when all are drawn: it ends the scaling that they share.
        line[0].set_ylim(bottom=0)
    for axis in axes[-1]:
        axis.set_xlabel("layer")
    handles = [
        Line2D([], [], color=colour, label=f"strength {strength:g}")
        for strength, colour in zip(strengths, colours, strict=True)
    ]
    handles.append(_ring([], []))
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=5, frameon=False
    )
    figure.tight_layout()
    return figure


def _ring(layers: Sequence[float], heights: Sequence[float]) -> Line2D:
    """A ring around what was chosen."""
    about: dict[str, Any] = {"marker": "o", "markersize": 6, "linestyle": "", "color": "black"}
    return Line2D(layers, heights, markerfacecolor="none", label="chosen", **about)


def _draw_panel(
    axis: Axes, part: pd.DataFrame, chosen: Mapping[str, Any], colours: Mapping[float, Any]
) -> None:
    if part.empty:
        say_absent(axis, "not measured")
        return
    for strength, line in part.groupby("strength"):
        ordered = line.sort_values("layer")
        axis.plot(ordered["layer"], ordered["accuracy"], color=colours[strength])
    at = part[(part["layer"] == chosen["layer"]) & (part["strength"] == chosen["strength"])]
    axis.add_line(_ring(at["layer"].tolist(), at["accuracy"].tolist()))
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))


def chosen_sentence(model: str, chosen: Chosen, items: pd.Series) -> str:
    """How many validation items of each task were asked, and what was chosen on them."""
    counts = ", ".join(f"{task} {count}" for task, count in items.items())
    picks = ", ".join(
        f"{TITLES[way]} after layer {chosen[way]['layer']} with strength "
        f"{chosen[way]['strength']:g} ({chosen[way]['validation_accuracy']:.2f})"
        for way in (FUNCTION, INJECT)
    )
    return f"{model}: validation items {counts}; chosen: {picks}."


def render_strength(item: ShownItem) -> None:
    """Write the figure, and the averages over tasks of all methods as its data."""
    by_strength = item.joined("by_strength")
    chosen = {model: read_json(path) for model, path in item.by_model("injection").items()}
    data = over_tasks(by_strength, item.tasks)
    samples = []
    for model in item.models:
        asked = by_strength[by_strength["model"] == model]
        items = asked.groupby("task")["items"].max().reindex(item.tasks)
        samples.append(chosen_sentence(model, chosen[model], items))
    drawn = data[data["metric"] == DRAWN]
    figure = draw_strengths(drawn, chosen, sorted(set(data["strength"])))
    write_figure(item, [figure], data, samples)


if __name__ == "__main__":
    render_command(__doc__, {"figure_strength": render_strength})
