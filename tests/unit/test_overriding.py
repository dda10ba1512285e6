"""Whom answers follow: shares by hand, patching against the system prompt, table and figure."""

from __future__ import annotations

import pandas as pd
import pytest

from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render.item import ShownItem
from taskvectors.render.overriding import draw_overriding, render_figure, render_table
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.overriding import judge_numbers, outcome_of, shares

# Of four prompts of each kind, those whose answer does (asked, patched): by method.
MET = {
    ("semantic", "prompt"): [(1, 0), (1, 0), (1, 0), (0, 0)],
    ("semantic", "system_prompt"): [(1, 0), (1, 0), (0, 1), (1, 1)],
    ("semantic", "patch"): [(0, 1), (0, 1), (0, 1), (0, 0)],
    ("factual", "prompt"): [(1, 0)] * 4,
    ("factual", "system_prompt"): [(0, 1)] * 4,
    ("factual", "patch"): [(0, 1)] * 2 + [(1, 0)] * 2,
}
KNOWN = [
    {"judge": "j", "yes": 0.6, "no": 0.1, "expected": True},
    {"judge": "j", "yes": 0.6, "no": 0.1, "expected": False},
    {"judge": "j", "yes": 0.1, "no": 0.3, "expected": False},
]


@pytest.fixture
def table() -> pd.DataFrame:
    rows = [
        {"kind": kind, "method": method, "prompt": f"{kind} {number}"}
        | {"asked_met": bool(asked), "patched_met": bool(patched)}
        for (kind, method), met in MET.items()
        for number, (asked, patched) in enumerate(met)
    ]
    return shares(pd.DataFrame(rows), Bootstrap(500, 0))


def test_an_outcome_says_who_was_followed():
    found = [outcome_of(*met) for met in ((True, True), (False, True), (True, False))]
    assert [*found, outcome_of(False, False)] == ["both", "patch", "prompt", "neither"]


def test_shares_are_counted_by_kind_and_averaged_over_kinds(table):
    found = table.set_index(["kind", "method", "outcome"])["share"].sort_index()
    assert found.loc[("semantic", "prompt")].to_dict() == {
        "patch": 0, "prompt": 0.75, "both": 0, "neither": 0.25,
    }  # fmt: skip
    assert found["semantic", "system_prompt", "both"] == 0.25
    assert found["semantic", "patch", "patch"] == 0.75
    assert found["average", "patch", "patch"] == pytest.approx((0.75 + 0.5) / 2)
    assert table.groupby(["kind", "method"])["share"].sum().eq(1).all()


def test_patching_stands_against_the_system_prompt_on_the_same_prompts(table):
    known = table[table["difference"].notna()].set_index("kind")
    assert (known["method"] + known["outcome"] == "patchpatch").all()
    assert known["difference"].to_dict() == {"semantic": 0.5, "factual": -0.5, "average": 0}
    assert (known["difference_low"] <= known["difference"]).all()
    assert (known["difference"] <= known["difference_high"]).all()


def test_a_judge_is_right_where_the_likelier_word_is():
    assert judge_numbers(KNOWN) == {"judge": "j", "known": 3, "right": 2}
    assert judge_numbers([]) == {"judge": None, "known": 0, "right": 0}


@pytest.fixture
def item(tmp_path, root, table):
    write_frame(tmp_path / "m.csv", table.assign(**judge_numbers(KNOWN)))

    def named(name: str) -> ShownItem:
        inputs = {"scores": [tmp_path / "m.csv"], "caption": [root / f"workflow/report/{name}.rst"]}
        nothing = {"seeing": [], "templates": [], "language_models": []}
        return ShownItem(["m"], ["a"], inputs, name, experiment="x", out=tmp_path / name, **nothing)

    return named


def test_the_table_has_a_row_for_each_kind_and_method_and_says_how_good_the_judge_is(item):
    one = item("table_overriding")
    render_table(one)
    found = read_frame(one.out.with_suffix(".csv")).set_index(["kind", "method"])
    assert len(found) == 3 * 3
    assert found.loc[("semantic", "patch"), ["patch", "prompt", "both", "neither"]].tolist() == [
        0.75, 0, 0, 0.25,
    ]  # fmt: skip
    text = one.out.with_suffix(".md").read_text()
    assert "m: prompts semantic 4, factual 4; where no rule can tell, j judges" in text
    assert "right about 2 of 3 texts whose answer is known." in text
    last = text.strip().splitlines()[-1]
    assert "| average" in last and "+0.00 [" in last


def test_the_figure_stacks_the_shares_to_one(item):
    one = item("figure_overriding")
    render_figure(one)
    figure = draw_overriding(read_frame(one.out.with_suffix(".csv")), ["m"])
    assert [axis.get_title() for axis in figure.axes] == ["semantic", "factual", "average of kinds"]
    for axis in figure.axes:
        widths = [sum(bars[n].get_width() for bars in axis.containers) for n in range(3)]
        assert widths == pytest.approx([1, 1, 1])
