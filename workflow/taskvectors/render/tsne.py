"""t-SNE of task vectors of single exemplar sets by layer, with silhouettes (paper, A.4)."""

from collections.abc import Sequence
from itertools import cycle

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from taskvectors.base.figures import (
    SPECIFICATION_MARKERS,
    TASK_COLOURS,
    apply_style,
)
from taskvectors.render.captions import sets_sentences
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command

LAYERS = 6


def draw_figure_tsne(data: pd.DataFrame, models: Sequence[str], tasks: Sequence[str]) -> Figure:
    """A row of panels per model, a column per layer; colour: task, shape: specification."""
    apply_style()
    figure, axes = plt.subplots(
        len(models), LAYERS, figsize=(1.32 * LAYERS + 0.3, 1.75 * len(models)), squeeze=False
    )
    for line, model in zip(axes, models, strict=True):
        part = data[data["model"] == model]
        layers = sorted(set(part["layer"]))
        for column, axis in enumerate(line):
            axis.set_xticks([])
            axis.set_yticks([])
            if column < len(layers):
                _draw_panel(axis, part[part["layer"] == layers[column]], tasks)
            else:
                axis.axis("off")
        line[0].set_ylabel(model)
    places_legend(figure, data, tasks, columns=5)
    figure.tight_layout()
    return figure


def places_legend(figure: Figure, data: pd.DataFrame, tasks: Sequence[str], columns: int) -> None:
    """Below the panels: the colours of tasks, and the shapes of the specifications in ``data``."""
    present = set(data["specification"])
    points = [
        (colour, "o", task) for task, colour in zip(tasks, cycle(TASK_COLOURS), strict=False)
    ] + [
        ("#404040", marker, name)
        for name, marker in SPECIFICATION_MARKERS.items()
        if name in present
    ]
    handles = [
        Line2D([], [], color=colour, marker=marker, lw=0, markersize=4, label=label)
        for colour, marker, label in points
    ]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=columns, frameon=False
    )


def silhouette_texts(part: pd.DataFrame) -> tuple[str, str]:
    """A panel's mean silhouettes by task and by specification, in words."""
    scores = [part.iloc[0][f"silhouette_{key}"] for key in ("task", "specification")]
    by_task, by_specification = (
        "–" if pd.isna(score) else f"{round(score, 2) + 0.0:.2f}" for score in scores
    )
    return by_task, by_specification


def _draw_panel(axis: Axes, part: pd.DataFrame, tasks: Sequence[str]) -> None:
    for task, colour in zip(tasks, cycle(TASK_COLOURS), strict=False):
        for specification, marker in SPECIFICATION_MARKERS.items():
            chosen = part[(part["task"] == task) & (part["specification"] == specification)]
            alone = specification == "instruction"
            axis.scatter(
                chosen["x"],
                chosen["y"],
                color=colour,
                marker=marker,
                s=30 if alone else 7,
                alpha=1.0 if alone else 0.7,
                edgecolor="black" if alone else "none",
                linewidth=0.5,
            )
    by_task, by_specification = silhouette_texts(part)
    title = f"layer {part.iloc[0]['layer']}\ntask {by_task}\nspec. {by_specification}"
    axis.set_title(title, fontsize=7)


def render_figure_tsne(item: ShownItem) -> None:
    """Write the figure from the places of all models' vectors."""
    data = item.joined("places")
    first = data[data["layer"] == data.groupby("model")["layer"].transform("min")]
    counts = first.groupby(["model", "specification", "task"], sort=False).size()
    samples = sets_sentences(counts.rename("sets").reset_index(), item.tasks, "vectors")
    write_figure(item, [draw_figure_tsne(data, item.models, item.tasks)], data, samples)


if __name__ == "__main__":
    render_command(__doc__, {"figure_tsne": render_figure_tsne})
