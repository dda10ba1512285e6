"""The silhouettes of the t-SNE figure, against the definition and clear-cut cases."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from taskvectors.render.tsne import draw_figure_tsne
from taskvectors.score.tsne import places, silhouettes

TASKS, WIDTH = ["country-capital", "food-color"], 6


def by_hand(vectors: np.ndarray, labels: list[str]) -> float:
    """Mean of (b - a) / max(a, b) with cosine distances, written again on purpose."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    far = 1 - units @ units.T
    values = []
    for i, label in enumerate(labels):
        groups = {
            other: [far[i, j] for j, name in enumerate(labels) if name == other and j != i]
            for other in set(labels)
        }
        inside = np.mean(groups.pop(label))
        outside = min(np.mean(group) for group in groups.values())
        values.append((outside - inside) / max(inside, outside))
    return float(np.mean(values))


def test_silhouette_is_as_defined():
    vectors = np.random.default_rng(0).normal(size=(12, WIDTH))
    labels = ["a", "b", "c"] * 4
    assert silhouettes(vectors, labels).mean() == pytest.approx(by_hand(vectors, labels))


def test_one_group_has_no_silhouette():
    assert np.isnan(silhouettes(np.ones((4, WIDTH)), ["a"] * 4)).all()


def test_tasks_that_cluster_whatever_their_specification_score_so():
    rng = np.random.default_rng(0)
    rows, vectors = [], []
    for number, task in enumerate(TASKS):
        for specification in ("text_icl", "image_icl"):
            for index in range(6):
                rows.append({"task": task, "specification": specification, "seed": 1, "set": index})
                centre = np.eye(WIDTH)[number]
                vectors.append(np.stack([centre + 0.05 * rng.normal(size=WIDTH)] * 2))
        rows.append({"task": task, "specification": "instruction"})
        vectors.append(np.stack([10 * np.ones(WIDTH)] * 2))
    data = places(pd.DataFrame(rows), np.stack(vectors).astype(np.float32)).assign(model="m")
    assert sorted(set(data["layer"])) == [0, 1]
    assert (data["silhouette_task"] > 0.9).all()
    assert (data["silhouette_specification"] < 0.1).all()
    sets = data[data["specification"] != "instruction"]
    assert data.loc[data["specification"] == "instruction", "own_silhouette_task"].isna().all()
    layers = sets.groupby("layer")
    assert layers["own_silhouette_task"].mean().tolist() == pytest.approx(
        layers["silhouette_task"].first().tolist()
    )
    figure = draw_figure_tsne(data, ["m"], TASKS)
    drawn = sum(len(points.get_offsets()) for points in figure.axes[0].collections)
    assert drawn == len(rows)
