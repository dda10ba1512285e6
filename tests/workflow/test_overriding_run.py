"""Task overriding of the cut-down experiment: its table counted again from the judged answers."""

from __future__ import annotations

import pandas as pd
import pytest

from taskvectors.base.files import read_jsonl
from taskvectors.study.judging import meets
from taskvectors.study.overriding import KINDS, METHODS, read_overrides

pytestmark = pytest.mark.workflow
OUTCOMES = {(True, True): "both", (False, True): "patch", (True, False): "prompt"}


def test_every_number_of_the_table_is_counted_again_from_what_was_written(tiny_run):
    folder = tiny_run.results / "overriding/embedded/spaced"
    overrides = read_overrides(tiny_run.folder / "resources/qualitative/conflicts.yaml")
    lines = read_jsonl(folder / "verdicts.jsonl")
    assert len(lines) == len(overrides) * len(METHODS)
    for line in lines:
        for side in ("asked", "patched"):
            ruled = meets(line["answer"], line[side])
            if ruled is not None:
                assert line[f"{side}_met"] == ruled
            elif line["answer"]:
                said = line[f"{side}_opinion"]
                assert line[f"{side}_met"] == (said["yes"] > said["no"]) and said["raw"]
    table = pd.read_csv(tiny_run.results / "tables/table_overriding.csv")
    rows = table.set_index(["kind", "method"])
    for kind in KINDS:
        for method in METHODS:
            mine = [one for one in lines if (one["kind"], one["method"]) == (kind, method)]
            found = [
                OUTCOMES.get((one["asked_met"], one["patched_met"]), "neither") for one in mine
            ]
            assert rows.loc[(kind, method), "prompts"] == len(found)
            for outcome in ("patch", "prompt", "both", "neither"):
                share = rows.loc[(kind, method), outcome]
                assert share == pytest.approx(found.count(outcome) / len(found))
    caption = (tiny_run.results / "tables/table_overriding.md").read_text()
    known = read_jsonl(folder / "known.jsonl")
    right = sum((one["yes"] > one["no"]) == one["expected"] for one in known)
    assert f"smollm2 judges, which is right about {right} of {len(known)} texts" in caption
