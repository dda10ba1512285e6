"""Contexts beside task vectors at the chosen layer: t-SNE, and silhouettes by task and modality."""

from collections.abc import Sequence
from itertools import cycle

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taskvectors.base.figures import (
    SPECIFICATION_MARKERS,
    TASK_COLOURS,
    apply_style,
    say_absent,
)
from taskvectors.render.captions import sets_sentences
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.tsne import places_legend, silhouette_texts

PANELS = {"context": "mean of the context", "vector": "task vector"}


def draw_contexts(data: pd.DataFrame, models: Sequence[str], tasks: Sequence[str]) -> Figure:
    """A row of two panels per model; colour: task, shape: specification."""
    apply_style()
    figure, axes = plt.subplots(
        len(models), len(PANELS), figsize=(4.6, 2.4 * len(models) + 0.3), squeeze=False
    )
    for line, model in zip(axes, models, strict=True):
        for axis, (read, title) in zip(line, PANELS.items(), strict=True):
            part = data[(data["model"] == model) & (data["read"] == read)]
            _draw_panel(axis, part, title, tasks)
        line[0].set_ylabel(model)
    places_legend(figure, data, tasks, columns=3)
    figure.tight_layout()
    return figure


def _draw_panel(axis: Axes, part: pd.DataFrame, title: str, tasks: Sequence[str]) -> None:
    axis.set_xticks([])
    axis.set_yticks([])
    if part.empty:
        say_absent(axis, "not measured")
        return
    for task, colour in zip(tasks, cycle(TASK_COLOURS), strict=False):
        for specification, marker in SPECIFICATION_MARKERS.items():
            chosen = part[(part["task"] == task) & (part["specification"] == specification)]
            axis.scatter(chosen["x"], chosen["y"], color=colour, marker=marker, s=8, alpha=0.7)
    by_task, by_modality = silhouette_texts(part)
    axis.set_title(
        f"{title}, layer {part.iloc[0]['layer']}\ntask {by_task}, modality {by_modality}",
        fontsize=7,
    )


def render_contexts(item: ShownItem) -> None:
    """Write the figure from the places of all models' contexts and vectors."""
    data = item.joined("places")
    read = data[data["read"] == "context"]
    counts = read.groupby(["model", "specification", "task"], sort=False).size()
    samples = sets_sentences(counts.rename("sets").reset_index(), item.tasks, "exemplar sets")
    write_figure(item, [draw_contexts(data, item.models, item.tasks)], data, samples)


if __name__ == "__main__":
    render_command(__doc__, {"figure_context": render_contexts})
