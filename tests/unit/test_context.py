"""Contexts beside vectors: silhouettes of clear-cut cases, at the chosen layer alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from taskvectors.base.tensors import write_tensors
from taskvectors.render.context import draw_contexts
from taskvectors.score.context import context_places
from taskvectors.study.vectors import ActivationName

TASKS, WIDTH, SETS, LAYER = ["country-capital", "food-color"], 6, 5, 1


@pytest.fixture
def files(tmp_path):
    """Activations whose contexts lie by specification and whose vectors lie by task, at `LAYER`;
    at the other layer it is the other way round."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.eye(WIDTH)
    paths = []
    for number, task in enumerate(TASKS):
        tensors = {"instruction": torch.ones(1, 2, WIDTH)}
        for place, specification in enumerate(("text_icl", "image_icl")):
            by_layer = {"context": (number, place), "exemplar": (place, number)}
            for site, centres in by_layer.items():
                middle = torch.stack([directions[centre] for centre in centres])
                noise = 0.05 * torch.randn(SETS, 2, WIDTH, generator=generator)
                tensors[str(ActivationName(specification, "validation", 1, site))] = middle + noise
        paths.append(tmp_path / f"{task}.safetensors")
        write_tensors(paths[-1], tensors)
    return paths


def test_contexts_cluster_by_specification_and_vectors_by_task_at_the_chosen_layer(files):
    table = context_places(files, TASKS, LAYER)
    assert len(table) == 2 * 2 * 2 * SETS and set(table["layer"]) == {LAYER}
    first = table.groupby("read")[["silhouette_task", "silhouette_specification"]].first()
    assert first.loc["context", "silhouette_specification"] > 0.9
    assert first.loc["context", "silhouette_task"] < 0.1
    assert first.loc["vector", "silhouette_task"] > 0.9
    assert first.loc["vector", "silhouette_specification"] < 0.1
    other = context_places(files, TASKS, 0).groupby("read")["silhouette_task"].first()
    assert other["context"] > 0.9 > 0.1 > other["vector"]


def test_the_figure_titles_each_panel_with_its_silhouettes(files):
    data = context_places(files, TASKS, LAYER).assign(model="m")
    context, vector = draw_contexts(data, ["m"], TASKS).axes
    numbers = data.groupby("read")[["silhouette_task", "silhouette_specification"]].first()
    by_task, by_modality = (round(n, 2) + 0.0 for n in numbers.loc["vector"])
    assert vector.get_title() == (
        f"task vector, layer {LAYER}\ntask {by_task:.2f}, modality {by_modality:.2f}"
    )
    assert context.get_title().startswith("mean of the context, layer 1\n")
    assert sum(len(one.get_offsets()) for one in context.collections) == 2 * 2 * SETS
    assert np.isfinite(data[["x", "y"]].to_numpy()).all()
