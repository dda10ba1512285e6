"""Figure 11: validation accuracy by layer."""

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
    say_absent,
)
from taskvectors.render.captions import sample_sentence
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command


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
        say_absent(axis, "not measured")
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


def render_figure_11(item: ShownItem) -> None:
    """Write the figure and its data from the validation accuracies of all models."""
    curves = item.joined("curves")
    samples = []
    for model in item.models:
        part = curves[curves["model"] == model]
        items = part.groupby("task")["items"].max().reindex(item.tasks)
        samples.append(sample_sentence(model, "validation", items, part["seeds"].max()))
    data = curves.drop(columns="seeds")
    figure = draw_figure_11(data, item.chosen_layers(), item.tasks)
    write_figure(item, [figure], data, samples)


if __name__ == "__main__":
    render_command(__doc__, {"figure_11": render_figure_11})
