"""Outcomes of task conflict on answers whose outcomes are known."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskvectors.render.conflict import DRAWN, draw_conflict, items_sentence, printed_table
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.conflict import outcomes, shares
from taskvectors.study.tables import OUTCOMES, conflict_table

LABELS = {"capital": ("Paris", 1), "coin": ("Franc", 2), "both": ("Pa", 3)}


def answer(token: str, token_id: int, patched: str = "coin", **about) -> dict:
    """One answer to France under the instruction for its capital."""
    label, first = LABELS[patched]
    return {
        "prompted": "capital",
        "patched": patched,
        "specification": None,
        "query_modality": "image",
        "seed": None,
        "entity": "France",
        "prompted_label": "Paris",
        "prompted_label_token_ids": 1,
        "patched_label": label,
        "patched_label_token_ids": first,
        "token": token,
        "token_ids": token_id,
        **about,
    }


def test_an_answer_is_right_for_one_task_for_both_or_for_none():
    table = pd.DataFrame(
        [
            answer(" Paris", 1),
            answer(" Fr", 9),
            answer(" Pa", 3, "both"),
            answer(" no", 8),
            answer("\n", 7),
        ]
    )
    assert list(outcomes(table, "paper")) == ["prompt", "patch", "both", "neither", "neither"]
    assert list(outcomes(table, "strict")) == ["prompt", "neither", "patch", "neither", "neither"]


def patched_answers() -> pd.DataFrame:
    """Two items, two seeds: France 1 and 1, Peru 1 and 0 wins of the patch; unpatched none."""
    rows = [answer(" Paris", 1), answer(" x", 9, entity="Peru")]
    for seed in (1, 2):
        about = {"specification": "text_icl", "seed": seed}
        rows.append(answer(" Franc", 2, **about))
        peru = (" Franc", 2) if seed == 1 else (" x", 9)
        rows.append(answer(*peru, entity="Peru", **about))
    table = pd.DataFrame(rows)
    turned = table.assign(prompted="coin", patched="capital")
    return pd.concat([table, turned[turned["specification"].notna()]], ignore_index=True)


def row_of(table: pd.DataFrame, **wanted: str) -> pd.Series:
    for name, value in wanted.items():
        table = table[table[name] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_shares_are_means_over_items_and_seeds_and_lack_what_was_not_asked():
    table = shares(patched_answers(), Bootstrap(100, 0))
    about = {"metric": "paper", "prompted": "capital"}
    patch = row_of(table, specification="text_icl", outcome="patch", **about)
    assert (patch["share"], patch["items"], patch["seeds"]) == (0.75, 2, 2)
    assert (patch["least"], patch["greatest"]) == (0.5, 1.0)
    assert patch["low"] == 0.5 and patch["high"] == 1.0
    alone = row_of(table, specification="unpatched", outcome="prompt", **about)
    assert (alone["share"], alone["seeds"]) == (0.5, 0) and pd.isna(alone["least"])
    averages = table[table["prompted"] == "average"]
    # Unpatched lacks a pair, so it has no average.
    assert set(averages["specification"]) == {"text_icl"}
    both = row_of(averages, metric="paper", outcome="patch")
    assert (both["items"], both["interval"]) == (4, "items")
    # Both directions of a pair have the same draws, so that their average varies as each does.
    assert (both["low"], both["high"]) == (0.5, 1.0)


@settings(deadline=None, max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(["Pa", "Fr", "x", " "]), st.booleans()), min_size=1))
def test_the_four_shares_sum_to_one(tokens):
    rows = [
        answer(token, 1 if right else 5, entity=str(number))
        for number, (token, right) in enumerate(tokens)
    ]
    table = shares(pd.DataFrame(rows), Bootstrap(10, 0))
    for _, part in table.groupby(["metric", "prompted"]):
        assert set(part["outcome"]) == set(OUTCOMES)
        assert part["share"].sum() == pytest.approx(1)


def test_the_table_and_the_figure_show_the_shares():
    found = shares(patched_answers(), Bootstrap(100, 0)).assign(model="m")
    table = conflict_table(found)
    line = row_of(table, prompted="capital", specification="text_icl", metric="paper")
    assert (line["patch"], line["prompt"], line["both"], line["neither"]) == (0.75, 0, 0, 0.25)
    assert (line["patch_least"], line["patch_greatest"]) == (0.5, 1.0)
    assert len(table) == len(found) / 4
    printed = printed_table(table).loc[line.name]
    assert printed["patch"] == "0.75 [0.50, 1.00]"
    drawn = found[found["metric"] == DRAWN]
    figure = draw_conflict(drawn, ["m", "blind"])
    bars = {round(bar.get_width(), 6) for bar in figure.axes[0].patches}
    pair = drawn[(drawn["prompted"] == "capital") & (drawn["patched"] == "coin")]
    assert bars == {round(share, 6) for share in pair["share"]}
    assert len(figure.axes[0].patches) == len(pair)
    absent = [text.get_text() for axis in figure.axes[3:] for text in axis.texts]
    assert absent == ["not measured"] * 3
    assert (
        items_sentence(found, "m") == "m: test items capital ← coin 2, coin ← capital 2; 2 seeds."
    )
