"""The reproduction table says what the data say: verdicts, intervals, the paper's numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.base.frames import read_frame
from taskvectors.base.schemas import load_schema
from taskvectors.score.bootstrap import Answers
from taskvectors.score.claims import MEASURES, claim_rows, read_claims, verdict
from taskvectors.score.evidence import Found, NotMeasured
from taskvectors.score.measures_answers import difference, spread, table
from taskvectors.score.measures_layers import (
    depth,
    mixing,
    phase_order,
    plateau,
    same_top_share,
)
from taskvectors.score.published import published_numbers
from taskvectors.study.items import CLAIMS

TASKS = ["country-capital", "food-color"]
NUMBERS = st.floats(-1, 1)


def found(low: float, value: float, high: float) -> Found:
    return Found(value, low, high, "any")


@given(st.lists(NUMBERS, min_size=3, max_size=3).map(sorted), NUMBERS)
def test_a_verdict_is_where_the_interval_lies(bounds, line):
    low, value, high = bounds
    above = verdict({"above": line}, found(low, value, high))
    if low > line:
        assert above == "holds"
    elif high < line or low == high:
        assert above == "does not hold"
    else:
        assert above == "undecided"
    mirrored = verdict({"below": -line}, found(-high, -value, -low))
    assert mirrored == above


def test_between_two_lines_all_of_the_interval_must_lie():
    claim = {"above": 0.4, "below": 0.6}
    assert verdict(claim, found(0.45, 0.5, 0.55)) == "holds"
    assert verdict(claim, found(0.3, 0.5, 0.55)) == "undecided"
    assert verdict(claim, found(0.7, 0.8, 0.9)) == "does not hold"


def answers(right: dict[str, np.ndarray], resamples: int = 500) -> Answers:
    """Methods to whether each answer was right, (tasks, seeds, items), on image queries."""
    rows = []
    for method, values in right.items():
        for (t, s, i), value in np.ndenumerate(values):
            seed = None if values.shape[1] == 1 else s + 1
            about = {"method": method, "query_modality": "image", "task": TASKS[t], "seed": seed}
            marks = {"paper": value, "strict": value, "paper, case-insensitive": value}
            rows.append({**about, "entity": str(i), **marks})
    return Answers(pd.DataFrame(rows), TASKS, resamples, seed=0)


def evidence(**known) -> SimpleNamespace:
    return SimpleNamespace(model="m", resamples=500, seed=0, **known)


CLAIM = {"measure": "difference", "left": "a", "right": ["b", "c"], "query": "image", "above": 0}


def test_a_difference_is_paired_by_item_and_against_the_best_of_the_others():
    rng = np.random.default_rng(1)
    b = rng.random((2, 2, 40)) < 0.5
    a = b | (np.arange(40) < 4)  # never worse than b, item by item
    right = {"a": a, "b": b, "c": np.zeros((2, 1, 40), dtype=bool)}
    measured, strict = difference(CLAIM, evidence(answers=answers(right)))
    assert measured.value == pytest.approx(a.mean() - b.mean())
    assert 0 <= measured.low <= measured.value <= measured.high < 0.15
    per_seed = a.mean(axis=(0, 2)) - b.mean(axis=(0, 2))
    assert measured.spread == pytest.approx(per_seed.std())
    assert (measured.items, measured.seeds) == (80, 2)
    assert (measured.metric, strict.metric) == ("paper", "strict")
    shuffled = right | {"b": rng.permuted(b, axis=2)}
    unpaired = difference(CLAIM, evidence(answers=answers(shuffled)))[0]
    assert unpaired.value == pytest.approx(measured.value)
    assert unpaired.high - unpaired.low > 1.5 * (measured.high - measured.low)


def test_a_method_that_lacks_a_task_is_not_measured_and_other_items_are_refused():
    right = {"a": np.ones((2, 2, 5)), "b": np.ones((1, 2, 5)), "c": np.ones((2, 2, 5))}
    with pytest.raises(NotMeasured, match="b was not asked of every task"):
        difference(CLAIM, evidence(answers=answers(right)))
    with pytest.raises(UserError, match="not asked every test item of country-capital"):
        difference(CLAIM, evidence(answers=answers(right | {"b": np.ones((2, 2, 4))})))


def test_a_model_without_image_icl_is_compared_with_what_it_can_take():
    right = {"a": np.ones((2, 2, 4)), "no_context": np.zeros((2, 1, 4))}
    claim = CLAIM | {"right": ["image_icl_base", "no_context"]}
    assert difference(claim, evidence(answers=answers(right)))[0].value == 1.0
    with pytest.raises(NotMeasured, match="takes no image ICL"):
        difference(claim | {"right": ["image_icl_base"]}, evidence(answers=answers(right)))


def test_the_fewest_samples_are_taken_and_their_spread_compared():
    still, moving = np.zeros((2, 2, 8)), np.zeros((2, 2, 8))
    moving[:, 1] = 1.0
    right = {"ensemble_n5_xpatch": still, "text_icl_n5_xpatch": moving}
    right |= {"text_icl_n10_xpatch": still, "ensemble_n10_xpatch": moving}
    claim = {"measure": "spread", "left": "ensemble", "right": "text_icl", "query": "image"}
    measured = spread(claim, evidence(answers=answers(right)))[0]
    assert (measured.value, measured.metric) == (-0.5, "paper, case-insensitive")


def test_phases_count_as_ordered_where_their_peaks_follow_one_another():
    peaks = {("t1", 1): (0, 3, 5), ("t1", 2): (0, 3, 5), ("t2", 1): (0, 5, 3), ("t2", 2): (1, 2, 3)}
    rows = [
        {"task": task, "seed": seed, "specification": "text_icl", "phase": phase, "layer": layer}
        | {"probability": float(layer == peak)}
        for (task, seed), three in peaks.items()
        for phase, peak in zip(("input", "task", "answer"), three, strict=True)
        for layer in range(6)
    ]
    measured = phase_order({}, evidence(phases=pd.DataFrame(rows)))[0]
    assert (measured.value, measured.low, measured.high) == (0.75, 0.5, 1.0)


def by_layer(curves: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    rows = [
        {"task": task, "seed": seed, "layer": layer, "accuracy": accuracy}
        for (task, seed), curve in curves.items()
        for layer, accuracy in enumerate(curve)
    ]
    return pd.DataFrame(rows).assign(method="text_icl_xpatch", metric="paper")


def test_the_same_word_must_be_likeliest_and_a_bare_space_is_none():
    rows = [("t1", "text_icl", " city", True), ("t1", "image_icl", "city", True)]
    rows += [("t2", "text_icl", " ", False), ("t2", "image_icl", " ", False)]
    rows += [("t3", "text_icl", " city", True), ("t3", "image_icl", " town", True)]
    tops = pd.DataFrame(rows, columns=["task", "specification", "token", "word"]).assign(rank=1)
    assert same_top_share(tops, ["t1", "t2", "t3"]) == pytest.approx(1 / 3)
    assert same_top_share(tops, ["t1"]) == 1.0
    with pytest.raises(NotMeasured):
        same_top_share(tops[tops["specification"] == "text_icl"], ["t1"])


def test_depth_and_plateau_are_read_off_the_validation_curves():
    curves = {("food-color", 1): [0, 0.4, 0.4, 0.4], ("country-capital", 1): [0, 0.8, 0.2, 0.0]}
    curves |= {("food-color", 2): [0, 0.4, 0.4, 0.2], ("country-capital", 2): [0, 0.2, 0.8, 0.4]}
    layer = {"layer": 1, "layers": 4, "method": "text_icl_xpatch"}
    known = evidence(by_layer=by_layer(curves), layer=layer, paradigm="late-fusion")
    deep = depth({"paradigm": "late-fusion"}, known)[0]
    assert (deep.value, deep.low, deep.high) == (0.25, 0.25, 0.5)
    flat = plateau({"tasks": ["food-color"]}, known)[0]
    assert (flat.value, flat.low, flat.high) == pytest.approx((0.5, 0.0, 1.0))
    with pytest.raises(NotMeasured, match="late-fusion"):
        depth({"paradigm": "early-fusion"}, known)


def test_specifications_mix_from_the_first_layer_to_the_one_nearest_the_chosen():
    rows = [(0, 0.9), (6, 0.2), (12, 0.7)]
    drawn = pd.DataFrame(rows, columns=["layer", "silhouette_specification"])
    drawn = drawn.assign(silhouette_task=0.5)
    known = evidence(layer={"layer": 8}, places=drawn)
    assert mixing({}, known)[0].value == pytest.approx(0.7)


def test_rows_of_another_table_are_subtracted_with_an_interval_said_to_be_approximate():
    rows = pd.DataFrame(
        [
            {"method": "llm", "metric": "paper", "average": 0.5, "low": 0.47, "high": 0.53},
            {"method": "vlm", "metric": "paper", "average": 0.4, "low": 0.36, "high": 0.44},
        ]
    )
    rows = pd.concat([rows, rows.assign(metric="strict", average=0.2)])
    claim = {"item": "table_7", "column": "average", "left": {"method": "llm"}}
    claim["right"] = {"method": "vlm"}
    measured, strict = table(claim, evidence(table=lambda item: rows))
    assert strict.value == 0.0
    assert (measured.value, measured.low, measured.high) == pytest.approx((0.1, 0.03, 0.17))
    assert measured.interval.startswith("wide")
    claim = {"item": "t", "column": "patch", "less": "prompt"}
    claim["left"] = {"metric": "paper", "method": "llm"}
    both = rows.assign(patch=0.3, patch_low=0.2, patch_high=0.4, prompt=0.1)
    measured = table(claim, evidence(table=lambda item: both))[0]
    assert (measured.value, measured.interval) == (pytest.approx(0.2), "none")
    claim = {"item": "table_7", "column": "average", "left": {"method": "nobody"}}
    with pytest.raises(NotMeasured, match="table_7 has no number for nobody"):
        table(claim, evidence(table=lambda item: rows))


def test_the_papers_numbers_follow_from_its_tables_by_the_rule(root):
    published = {path.stem: read_frame(path) for path in root.glob("resources/paper/*.csv")}
    by_words = {claim["claim"]: claim for claim in read_claims(root / CLAIMS["claims"])}

    def numbers(beginning: str) -> dict[str, float]:
        claim = next(c for words, c in by_words.items() if words.startswith(beginning))
        return published_numbers(claim, published)

    assert numbers("Patching text ICL") == {
        "llava-v1.5": 0.14,
        "mantis-fuyu": 0.22,
        "idefics2": 0.33,
    }
    assert numbers("On image queries") == {"mantis-fuyu": 0.11, "idefics2": 0.2}
    assert numbers("On text queries") == {"mantis-fuyu": 0.09, "idefics2": 0.23}
    assert numbers("Vectors of the language") == {"llava-v1.5": 0.05, "idefics2": 0.01}
    assert numbers("At the fewest samples, the ensemble with") == {"idefics2": 0.18}
    assert numbers("Text and image ICL vectors") == {"idefics2": 1.0}
    assert numbers("In late-fusion") == {"llava-v1.5": 15 / 32, "idefics2": 0.5}


def test_a_claim_without_data_is_one_row_that_says_why(root):
    claim = {"claim": "c", "where": "w", "measure": "none", "why": "no measure", "above": 0}
    (row,) = claim_rows(claim, [evidence()], {})
    assert (row["verdict"], row["why"]) == ("not measured", "no measure")
    assert "ours" not in row


def test_claims_name_measures_that_exist():
    named = load_schema("claims")["items"]["properties"]["measure"]["enum"]
    assert sorted(named) == sorted(MEASURES)


def test_a_wrong_claim_is_named(tmp_path):
    path = tmp_path / "claims.yaml"
    path.write_text("- {claim: c, where: w, quote: q, measure: difference, left: a, above: 0}\n")
    with pytest.raises(UserError, match=r"claims\.yaml: 0"):
        read_claims(path)
