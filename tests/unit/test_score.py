"""Metrics, the chosen layer and test accuracies, each against a count done by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_jsonl
from taskvectors.render.captions import caveats
from taskvectors.score.accuracy import score
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.layer import by_layer, choose_layer
from taskvectors.study.constant import constant_baseline
from taskvectors.study.datasets import ExemplarSet, Item
from taskvectors.study.majority import majority_label, random_baseline
from taskvectors.study.metrics import judged, matches, shows_text


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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(("B", True), (" 北", True), ("-", True), ("ก\ufffd", True), ("\u0301", True)),
        *(("", False), (" ", False), ("\n\t", False), ("\u3000", False), ("\ufffd\ufffd", False)),
        *((" \ufffd", False), ("\u200f", False), ("\ufeff\u200b", False), ("\0", False)),
    ],
)
def test_text_is_shown_by_a_whole_character_that_can_be_seen(text, shown):
    assert shows_text(text) is shown


def test_part_of_a_letter_at_the_end_of_a_token_does_not_count_and_elsewhere_is_wrong():
    assert matches("ก\ufffd", "กรุงเทพ") and not matches("ก\ufffd", "ขอนแก่น")
    assert not matches("\ufffd", "กรุงเทพ") and not matches("\ufffdก", "กรุงเทพ")


def predicted(**columns) -> pd.DataFrame:
    base = {
        "split": "validation",
        "method": "text_icl_xpatch",
        "query_modality": "image",
        "task": "t",
        "seed": 1,
        "layer": 0,
        "label_token_ids": 7,
        "label": "calf",
    }
    return pd.DataFrame({**base, **columns})


def test_strict_counts_only_the_labels_own_first_token():
    marked = judged(predicted(token=[" calf", " c", " pup"], token_ids=[7, 8, 9]))
    assert marked["paper"].tolist() == [True, True, False]
    assert marked["strict"].tolist() == [True, False, False]


def by_hand(accuracy: dict[tuple[str, int], list[bool]]) -> pd.DataFrame:
    """Validation predictions with the given right and wrong answers per (task, layer)."""
    parts = [
        predicted(task=task, layer=layer, token=["calf" if ok else "no" for ok in answers])
        for (task, layer), answers in accuracy.items()
    ]
    return pd.concat(parts).assign(token_ids=0)


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


def scored(test: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    return score(Answers(test, tasks, Bootstrap(500, 0)))


def test_accuracy_is_the_mean_over_items_of_the_mean_over_seeds():
    rows = [("a", 1, True), ("a", 2, False), ("b", 1, True), ("b", 2, True)]
    test = pd.DataFrame(rows, columns=["entity", "seed", "paper"]).assign(
        task="t", method="m", query_modality="image", strict=False
    )
    table = scored(test, ["t"]).set_index(["metric", "task"])
    whole = table.loc[("paper", "t")]
    assert whole["accuracy"] == pytest.approx(0.75)
    assert (whole["items"], whole["seeds"], whole["interval"]) == (2, 2, "items")
    assert whole["spread"] == pytest.approx(0.25)
    assert (whole["low"], whole["high"]) == (0.5, 1.0)
    assert table.loc[("strict", "average"), "accuracy"] == 0.0
    assert np.isnan(whole["constant"]) and np.isnan(whole["shuffled_p"])


def test_a_method_that_lacks_a_task_has_no_average():
    test = pd.DataFrame({"entity": ["a"], "seed": [1], "paper": [True], "strict": [True]}).assign(
        task="t", method="m", query_modality="image"
    )
    table = scored(test, ["t", "u"])
    assert set(table["task"]) == {"t"}
    assert table[["low", "high"]].isna().all(axis=None)  # one item alone has no interval


def test_no_seed_is_no_spread():
    test = pd.DataFrame(
        {"entity": ["a", "b"], "seed": [np.nan, np.nan], "paper": [True, False]}
    ).assign(task="t", method="no_context", query_modality="image", strict=False)
    row = scored(test, ["t"]).iloc[0]
    assert row["seeds"] == 0
    assert np.isnan(row["spread"])


def test_queries_that_are_dealt_out_to_seeds_cannot_tell_seeds_from_items():
    rows = [("a", 1, True), ("b", 2, False), ("c", 1, True), ("d", 2, True)]
    test = pd.DataFrame(rows, columns=["entity", "seed", "paper"]).assign(
        task="t", method="m", query_modality="text", strict=False
    )
    row = scored(test, ["t"]).iloc[0]
    assert (row["accuracy"], row["seeds"], row["items"]) == (0.75, 2, 4)
    assert np.isnan(row["spread"])
    with pytest.raises(UserError, match="m was not asked every test item of t under every seed"):
        scored(pd.concat([test, test.iloc[[0]].assign(seed=2)]), ["t"])


def test_prompts_that_were_cut_are_counted_and_a_caption_says_so_only_where_there_are_any():
    asked = labelled([("a", "red", " red", 5), ("b", "blue", " blue", 6)], "test")
    asked = asked.assign(token="x", token_ids=1, query_modality="image")
    seeded = pd.concat([asked.assign(seed=seed) for seed in (1, 2, 3)])
    cut = judged(seeded.assign(method="m", forced_boundary=seeded["entity"] == "b"))
    whole = judged(asked.assign(method="no_context", seed=np.nan, forced_boundary=False))
    constant = constant_baseline(labelled([("c", "red", " red", 5)], "validation"), asked)
    table = scored(pd.concat([cut, whole, constant]), ["t"])
    counts = table[(table["metric"] == "strict") & (table["task"] == "t")].set_index("method")
    assert counts.loc["m", ["answers", "forced"]].tolist() == [6, 3]
    assert counts.loc["no_context", ["answers", "forced"]].tolist() == [2, 0]
    assert counts.loc["constant", ["answers", "forced"]].isna().all()
    (said,) = caveats({"qwen": table, "llava": table[table["method"] != "m"]})
    assert said.startswith("qwen: 3 of 8 prompts were cut at a delimiter")


LABELLED = ["entity", "label", "label_token", "label_token_id"]


def labelled(rows: list[tuple[str, str, str, int]], split: str) -> pd.DataFrame:
    """Predictions' items: entity, label, and the label's first token."""
    found = pd.DataFrame(rows, columns=LABELLED).assign(task="t", split=split)
    return found.assign(label_token_ids=found["label_token_id"].astype(str))


def test_the_constant_is_chosen_on_validation_and_judged_on_test():
    validation = labelled(
        [("a", "red", " red", 5), ("b", "red", " red", 5), ("c", "green", " green", 3)],
        "validation",
    )
    test = labelled([("x", "green", " green", 3), ("y", "red", " red", 5)], "test")
    found = constant_baseline(validation, pd.concat([test, test.assign(split="again")]))
    assert found.set_index("entity")["paper"].to_dict() == {"x": False, "y": True}
    assert found["strict"].tolist() == [False, True] and set(found["method"]) == {"constant"}
    tie = constant_baseline(validation.drop_duplicates("label"), test)
    assert tie.set_index("entity")["paper"].to_dict() == {"x": True, "y": False}  # the lowest id


def test_each_metric_has_a_constant_of_its_own():
    rows = [("a", "Bern", " B", 7), ("b", "Bonn", " Bonn", 8), ("c", "Rome", " Rome", 2)]
    rows += [("d", "Rome", " Rome", 2), ("e", "Brno", " Brno", 4)]
    found = constant_baseline(labelled(rows, "validation"), labelled(rows, "test"))
    assert found["paper"].tolist() == [True, True, False, False, True]  # "B"
    assert found["strict"].tolist() == [False, False, True, True, False]  # "Rome"


def test_a_stuck_answer_is_no_better_than_the_constant_and_owes_nothing_to_its_queries():
    labels = [("red", " red", 5)] * 12 + [("green", " green", 3)] * 8
    rows = [(str(number), *label) for number, label in enumerate(labels)]
    asked = labelled(rows, "test").assign(method="m", query_modality="image", seed=1)
    stuck = judged(asked.assign(token=" red", token_ids="5", method="stuck"))
    knows = judged(
        asked.assign(token=asked["label_token"], token_ids=asked["label_token_ids"], method="knows")
    )
    constant = constant_baseline(labelled(rows, "validation"), asked)
    table = scored(pd.concat([stuck, knows, constant]), ["t"])
    table = table[(table["metric"] == "paper") & (table["task"] == "average")].set_index("method")
    assert table["accuracy"].to_dict() == {"stuck": 0.6, "knows": 1.0, "constant": 0.6}
    assert table["excess"].to_dict() == pytest.approx({"stuck": 0, "knows": 0.4, "constant": 0})
    assert table.loc["knows", "excess_low"] > 0.1
    assert table["commonest"].dropna().to_dict() == {"stuck": 1.0, "knows": 0.6}
    assert table["distinct"].dropna().to_dict() == {"stuck": 1 / 20, "knows": 2 / 20}
    assert table["shuffled"].dropna().to_dict() == pytest.approx({"stuck": 0.6, "knows": 0.52})
    assert table.loc["stuck", "shuffled_p"] == 1.0
    assert table.loc["knows", "shuffled_p"] < 0.01


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
