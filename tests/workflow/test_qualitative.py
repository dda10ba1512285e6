"""Task conflict and descriptions of the cut-down experiment, counted again from its answers."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from taskvectors.study.conflicts import read_conflicts
from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow
PAIRS = {("food-color", "food-flavor"), ("food-flavor", "food-color")}
ITEMS, SEEDS = 6, 2


def is_right(token: str, label: str) -> bool:
    """The paper's metric, written again on purpose."""
    shown = token.strip()
    return shown != "" and (label[: len(shown)] == shown or shown[: len(label)] == label)


def read(run, name: str):
    return run.results / "qualitative/embedded/spaced" / name


def test_every_number_of_table_conflict_is_recounted_from_the_answers(tiny_run):
    answers = read_conflicts(read(tiny_run, "conflict.parquet"))
    assert len(answers) == len(PAIRS) * ITEMS * (1 + 1 + 1 + 2 * SEEDS)
    assert answers["neighbourhood"].str.endswith("A>:<").all()
    table = pd.read_csv(tiny_run.results / "tables/table_conflict.csv")
    table = table[table["metric"] == "paper"]
    assert set(zip(table["prompted"], table["patched"], strict=True)) == PAIRS | {("average",) * 2}
    counted: dict[tuple, list[str]] = {}
    for row in answers.itertuples():
        prompt = is_right(row.token, row.prompted_label)
        patch = is_right(row.token, row.patched_label)
        outcome = {(1, 1): "both", (1, 0): "prompt", (0, 1): "patch", (0, 0): "neither"}
        specification = "unpatched" if pd.isna(row.specification) else row.specification
        key = (row.prompted, row.patched, specification)
        counted.setdefault(key, []).append(outcome[prompt, patch])
    for row in table[table["prompted"] != "average"].itertuples():
        found = counted.pop((row.prompted, row.patched, row.specification))
        for outcome in ("patch", "prompt", "both", "neither"):
            assert getattr(row, outcome) == pytest.approx(found.count(outcome) / len(found))
    assert not counted


def test_the_strict_outcome_compares_first_tokens(tiny_run):
    answers = read_conflicts(read(tiny_run, "conflict.parquet"))
    table = pd.read_csv(tiny_run.results / "tables/table_conflict.csv")
    strict = table[(table["metric"] == "strict") & (table["specification"] == "text_icl")]
    for prompted, patched in PAIRS:
        part = answers[(answers["prompted"] == prompted) & (answers["specification"] == "text_icl")]
        wins = (part["token_id"] == part["patched_label_token_id"]) & (
            part["token_id"] != part["prompted_label_token_id"]
        )
        shown = strict[strict["prompted"] == prompted].set_index("patched").loc[patched]
        assert shown["patch"] == pytest.approx(wins.mean())


def test_every_number_of_table_descriptions_is_recounted_from_the_predictions(tiny_run):
    found = read_predictions([read(tiny_run, "descriptions.parquet")])
    assert set(found["query_modality"]) == {"text"}
    per_query = found[found["method"] != "image_icl_xpatch"].groupby(["method", "task", "entity"])
    assert (per_query.size() == 1).all()
    table = pd.read_csv(tiny_run.results / "tables/table_descriptions.csv")
    shown = table[table["metric"] == "paper"].set_index("method")
    assert set(shown.index) == set(found["method"])
    counted = 0
    for (method, task), part in found.groupby(["method", "task"]):
        right = [is_right(row.token, row.label) for row in part.itertuples()]
        assert shown.loc[method, task] == pytest.approx(sum(right) / len(right))
        counted += 1
    assert counted == 4 * 3


def test_the_grids_show_the_first_items_and_what_was_written(tiny_run):
    lines = [
        json.loads(line)
        for line in read(tiny_run, "answers.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    first = (tiny_run.results / "curate/food-color/test.jsonl").read_text().splitlines()[:2]
    entities = [json.loads(line)["entity"] for line in first]
    data = pd.read_csv(tiny_run.results / "figures/figure_5.csv", keep_default_na=False)
    shown = data[data["task"] == "food-color"]
    assert list(dict.fromkeys(shown["entity"])) == entities
    written = {(li["kind"], li["task"], li["entity"], li["method"]): li["text"] for li in lines}
    for row in data.itertuples():
        assert row.text == written["transfer", row.task, row.entity, row.method]
        assert (row.right == "prompt") == is_right(row.token, row.label)
