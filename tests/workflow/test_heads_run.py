"""Attention heads in the cut-down experiment: what was put out is what its inputs come to."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open

from taskvectors.base.tensors import read_tensors
from taskvectors.study.heads import read_effects, read_injections
from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow
TASKS = ["country-capital", "food-color", "food-flavor"]
HEADS, LAYERS, SEEDS = 9, 30, [1, 2]


def right(predictions: pd.DataFrame) -> pd.Series:
    """Whether answers are right under the paper's metric, written again on purpose."""
    pairs = zip(predictions["token"].str.strip(), predictions["label"], strict=True)
    return pd.Series(
        [bool(t) and (one[: len(t)] == t or t[: len(one)] == one) for t, one in pairs],
        index=predictions.index,
    )


def of_tasks(tiny_run, file: str) -> list:
    return [tiny_run.results / "heads/embedded/spaced" / task / file for task in TASKS]


@pytest.fixture(scope="module")
def chosen(tiny_run) -> dict:
    return json.loads((tiny_run.results / "score/embedded/spaced/injection.json").read_text())


def test_effects_are_averaged_over_prompts_and_then_over_tasks(tiny_run):
    effects = read_effects(of_tasks(tiny_run, "effects.parquet"))
    assert len(effects) == len(TASKS) * 2 * 2 * LAYERS * HEADS
    gained = effects.assign(effect=effects["after"].astype(float) - effects["before"])
    by_task = gained.groupby(["specification", "task", "layer", "head"])["effect"].mean()
    expected = by_task.groupby(["specification", "layer", "head"]).mean()
    table = pd.read_csv(tiny_run.results / "score/embedded/spaced/heads.csv")
    found = table.set_index(["specification", "layer", "head"])["effect"]
    np.testing.assert_allclose(found[expected.index], expected, atol=1e-7)
    assert (table["rank"] <= 10).sum() == 20


def test_a_function_vector_is_the_sum_of_what_the_top_heads_write(tiny_run):
    table = pd.read_csv(tiny_run.results / "score/embedded/spaced/heads.csv")
    top = table[(table["specification"] == "image_icl") & (table["rank"] <= 10)]
    means = read_tensors(tiny_run.results / "read/embedded/spaced/food-color/heads.safetensors")[
        "image_icl/2"
    ]
    made = read_tensors(tiny_run.results / "heads/embedded/spaced/function_vectors.safetensors")
    assert set(made) == {
        f"{task}/{name}/{seed}"
        for task in TASKS
        for name in ("text_icl", "image_icl")
        for seed in SEEDS
    }
    expected, width = 0, means.shape[-1]
    weights = tiny_run.results / "prepare/embedded/model.safetensors"
    with safe_open(weights, "pt") as file:
        for layer, head in zip(top["layer"], top["head"], strict=True):
            (name,) = (
                key for key in file.keys()  # noqa: SIM118
                if key.endswith(f"layers.{layer}.self_attn.o_proj.weight")
            )  # fmt: skip
            weight = file.get_tensor(name).float()[:, head * width : (head + 1) * width]
            expected = expected + weight @ means[layer, head]
    np.testing.assert_allclose(made["food-color/image_icl/2"], expected, atol=1e-4)


def test_layer_and_strength_are_those_that_validation_answers_best(tiny_run, chosen):
    found = read_injections(of_tasks(tiny_run, "validation.parquet"))
    assert set(found["strength"]) == {1.0, 4.0} and set(found["seed"]) == {1}
    for way in ("function", "inject"):
        own = found[found["method"] == f"text_icl_x{way}"]
        by_task = right(own).groupby([own["layer"], own["strength"], own["task"]]).mean()
        average = by_task.groupby(["layer", "strength"]).mean()
        place = (chosen[way]["layer"], chosen[way]["strength"])
        assert average[place] == pytest.approx(average.max())
        assert chosen[way]["validation_accuracy"] == pytest.approx(average.max())


def test_tested_vectors_are_added_where_validation_chose_and_tables_count_them(tiny_run, chosen):
    found = read_predictions(of_tasks(tiny_run, "test.parquet"))
    for way in ("function", "inject"):
        own = found[found["method"].str.endswith(way) & (found["specification"] != "composed")]
        assert set(own["layer"]) == {chosen[way]["layer"]} and set(own["seed"]) == set(SEEDS)
    composed = found[found["specification"] == "composed"]
    assert set(composed["task"]) == {"food-color", "food-flavor"}, "the tasks that share entities"
    table = pd.read_csv(tiny_run.results / "tables/table_function_vectors.csv")
    own = found[found["method"] == "image_icl_function"]
    (row,) = table[
        (table["method"] == "image_icl_function") & (table["metric"] == "paper")
    ].to_dict("records")
    assert row["food-color"] == pytest.approx(right(own[own["task"] == "food-color"]).mean())
