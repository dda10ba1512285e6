"""t-SNE of task vectors of single exemplar sets by layer, with silhouettes (paper, A.4).

The silhouettes say in numbers what the image shows: by task, how far vectors lie with their
own task rather than another; by specification, how far with their own specification. They
are taken between the vectors themselves (cosine distance), not in the image. The ideal is
high by task and near or below zero by specification.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score

from taskvectors.base.figures import (
    SPECIFICATION_MARKERS,
    TASK_COLOURS,
    apply_style,
)
from taskvectors.base.tensors import read_tensors
from taskvectors.render.drawn import write_figure
from taskvectors.render.run import Run, shown_layers

LAYERS = 6
SETS = 30  # per task and specification
SEED = 0


def set_vectors(run: Run, model: str) -> tuple[pd.DataFrame, np.ndarray]:
    """The vector of each exemplar set (sets, layers, width), and what each is.

    Validation sets at the last exemplar's delimiter, in turn from every seed, up to 30 a task
    and specification; and each task's one instruction vector.
    """
    about, vectors = [], []
    for task in run.tasks:
        tensors = read_tensors(run.of("read", model, task) / "activations.safetensors")
        for specification in ("text_icl", "image_icl"):
            by_seed = {
                int(name.split("/")[2]): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"{specification}/validation/") and name.endswith("/exemplar")
            }
            longest = max(map(len, by_seed.values()), default=0)
            turns = [
                (seed, row)
                for row in range(longest)
                for seed in sorted(by_seed)
                if row < len(by_seed[seed])
            ]
            for seed, row in turns[:SETS]:
                named = {"task": task, "specification": specification, "seed": seed, "set": row}
                about.append(named)
                vectors.append(by_seed[seed][row].float().numpy())
        if "instruction" in tensors:
            about.append({"task": task, "specification": "instruction"})
            vectors.append(tensors["instruction"][0].float().numpy())
    return pd.DataFrame(about), np.stack(vectors)


def silhouette(vectors: np.ndarray, labels: Sequence[str]) -> float:
    """Mean silhouette by cosine distance; NaN where there are fewer than two groups."""
    if not 1 < len(set(labels)) < len(labels):
        return float("nan")
    return float(silhouette_score(vectors, list(labels), metric="cosine"))


def embed(vectors: np.ndarray) -> np.ndarray:
    """t-SNE of vectors (sets, width) to (sets, 2), with a fixed seed and one thread."""
    perplexity = min(30.0, (len(vectors) - 1) / 3)
    reduced = TSNE(perplexity=perplexity, init="pca", random_state=SEED, n_jobs=1)
    return reduced.fit_transform(vectors)


def figure_tsne_data(about: pd.DataFrame, vectors: np.ndarray, model: str) -> pd.DataFrame:
    """A row per set and shown layer: place, and the layer's two silhouettes.

    Silhouettes are over exemplar sets; the single instruction vectors are left out of them.
    """
    exemplars = (about["specification"] != "instruction").to_numpy()
    parts = []
    for layer in shown_layers(range(vectors.shape[1]), LAYERS):
        here = vectors[:, layer]
        place = embed(here)
        scores = {
            f"silhouette_{key}": silhouette(here[exemplars], about.loc[exemplars, key].tolist())
            for key in ("task", "specification")
        }
        part = about.assign(model=model, layer=layer, x=place[:, 0], y=place[:, 1], **scores)
        parts.append(part)
    return pd.concat(parts)


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
    handles = [
        Line2D(
            [],
            [],
            color=TASK_COLOURS[i % len(TASK_COLOURS)],
            marker="o",
            lw=0,
            markersize=4,
            label=task,
        )
        for i, task in enumerate(tasks)
    ] + [
        Line2D([], [], color="#404040", marker=marker, lw=0, markersize=4, label=specification)
        for specification, marker in SPECIFICATION_MARKERS.items()
        if specification in set(data["specification"])
    ]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=5, frameon=False
    )
    figure.tight_layout()
    return figure


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
    first = part.iloc[0]
    scores = [first[f"silhouette_{key}"] for key in ("task", "specification")]
    by_task, by_specification = (
        "–" if pd.isna(score) else f"{round(score, 2) + 0.0:.2f}" for score in scores
    )
    title = f"layer {first['layer']}\ntask {by_task}\nspec. {by_specification}"
    axis.set_title(title, fontsize=7)


def render_figure_tsne(run: Run) -> None:
    """Write the figure from the activations of the validation split."""
    parts, samples = [], []
    for model in run.models:
        about, vectors = set_vectors(run, model)
        parts.append(figure_tsne_data(about, vectors, model))
        counts = about.groupby(["specification", "task"], sort=False).size()
        shown = "; ".join(
            f"{name} " + ", ".join(f"{task} {counts[name].get(task, 0)}" for task in run.tasks)
            for name in dict.fromkeys(about["specification"])
        )
        samples.append(f"{model}: vectors {shown}.")
    data = pd.concat(parts)
    columns = ["model", "layer", "task", "specification", "seed", "set", "x", "y"]
    data = data[[*columns, "silhouette_task", "silhouette_specification"]]
    write_figure(run, draw_figure_tsne(data, run.models, run.tasks), data, samples)


RENDERERS = {"figure_tsne": render_figure_tsne}
