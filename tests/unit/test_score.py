"""Metrics, the chosen layer and test accuracies, each against a count done by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_jsonl
from taskvectors.score.accuracy import score
from taskvectors.score.layer import by_layer, choose_layer
from taskvectors.study.datasets import ExemplarSet, Item
from taskvectors.study.majority import majority_label, random_baseline
from taskvectors.study.metrics import judged, matches


@pytest.mark.parametrize(
    ("token", "label", "right"),
    [
        (" Athens", "Athens", True),
        ("B", "Bangkok", True),
        ("Euros", "Euro", True),
        ("athens", "Athens", False),
        ("\n", "Athens", False),
        ("", "Athens", False),
        ("Rome", "Athens", False),
    ],
)
def test_the_papers_metric_is_prefix_either_way_and_keeps_case(token, label, right):
    assert matches(token, label) is right


def predicted(**columns) -> pd.DataFrame:
    base = {
        "split": "validation",
        "method": "text_icl_xpatch",
        "query_modality": "image",
        "task": "t",
        "seed": 1,
        "layer": 0,
        "label_token_id": 7,
        "label": "calf",
    }
    return pd.DataFrame({**base, **columns})


def test_strict_counts_only_the_labels_own_first_token():
    marked = judged(predicted(token=[" calf", " c", " pup"], token_id=[7, 8, 9]))
    assert marked["paper"].tolist() == [True, True, False]
    assert marked["strict"].tolist() == [True, False, False]


def by_hand(accuracy: dict[tuple[str, int], list[bool]]) -> pd.DataFrame:
    """Validation predictions with the given right and wrong answers per (task, layer)."""
    parts = [
        predicted(task=task, layer=layer, token=["calf" if ok else "no" for ok in answers])
        for (task, layer), answers in accuracy.items()
    ]
    return pd.concat(parts).assign(token_id=0)


def test_the_layer_is_chosen_by_the_average_over_tasks_not_over_items():
    answers = {
        ("a", 0): [True] * 10,
        ("a", 1): [True] * 7 + [False] * 3,
        ("b", 0): [False] * 2,
        ("b", 1): [True, False],
    }
    chosen = choose_layer(by_layer(by_hand(answers)), ["a", "b"])
    assert (chosen["layer"], chosen["layers"]) == (1, 2)
    assert chosen["validation_accuracy"] == pytest.approx(0.6)


def test_of_equal_layers_the_first_is_taken_and_layer_zero_is_a_layer():
    answers = {("a", 0): [True, False], ("a", 1): [False, True]}
    assert choose_layer(by_layer(by_hand(answers)), ["a"])["layer"] == 0


def test_choosing_without_a_task_is_refused():
    with pytest.raises(UserError, match="no validation prediction of text_icl_xpatch for b"):
        choose_layer(by_layer(by_hand({("a", 0): [True, False]})), ["a", "b"])


def test_accuracy_is_the_mean_over_items_of_the_mean_over_seeds():
    rows = [("a", 1, True), ("a", 2, False), ("b", 1, True), ("b", 2, True)]
    test = pd.DataFrame(rows, columns=["entity", "seed", "paper"]).assign(
        task="t", method="m", query_modality="image", strict=False
    )
    table = score(test, ["t"], resamples=500, seed=0).set_index(["metric", "task"])
    whole = table.loc[("paper", "t")]
    assert whole["accuracy"] == pytest.approx(0.75)
    assert (whole["items"], whole["seeds"]) == (2, 2)
    assert whole["spread"] == pytest.approx(0.25)
    assert 0.5 <= whole["low"] <= 0.75 <= whole["high"] <= 1.0
    assert table.loc[("strict", "average"), "accuracy"] == 0.0


def test_a_method_that_lacks_a_task_has_no_average():
    test = pd.DataFrame({"entity": ["a"], "seed": [1], "paper": [True], "strict": [True]}).assign(
        task="t", method="m", query_modality="image"
    )
    table = score(test, ["t", "u"], resamples=100, seed=0)
    assert set(table["task"]) == {"t"}


def test_no_seed_is_no_spread():
    test = pd.DataFrame(
        {"entity": ["a", "b"], "seed": [np.nan, np.nan], "paper": [True, False]}
    ).assign(task="t", method="no_context", query_modality="image", strict=False)
    row = score(test, ["t"], resamples=100, seed=0).iloc[0]
    assert row["seeds"] == 0
    assert np.isnan(row["spread"])


def test_random_is_the_majority_label_of_the_exemplars(tmp_path):
    labels = {"cow": "calf", "whale": "calf", "dog": "pup", "seal": "pup", "cat": "kitten"}
    items = [Item("t", "test", name, "x", label) for name, label in labels.items()]
    write_jsonl(tmp_path / "test.jsonl", [item.as_row() for item in items])
    sets = [
        ExemplarSet("test", 1, "cow", ("whale", "dog", "cat")),
        ExemplarSet("test", 1, "seal", ("cow", "dog", "whale")),
        ExemplarSet("validation", 1, "dog", ("seal",)),
    ]
    write_jsonl(tmp_path / "exemplars.jsonl", [vars(drawn) for drawn in sets])
    table = random_baseline(tmp_path)
    assert dict(zip(table["entity"], table["paper"], strict=True)) == {"cow": True, "seal": False}
    assert majority_label(["b", "a", "a", "b"]) == "b"
