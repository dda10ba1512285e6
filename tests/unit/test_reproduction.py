"""The reproduction table says what the data say: verdicts, intervals, the paper's numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.base.frames import read_frame
from taskvectors.base.schemas import load_schema
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap, interval
from taskvectors.score.claims import (
    MEASURES,
    adjusted,
    claim_p,
    claim_rows,
    read_claims,
)
from taskvectors.score.evidence import Evidence, Found, NotMeasured
from taskvectors.score.measures_answers import dependence, difference, override, spread
from taskvectors.score.measures_layers import (
    by_task,
    depth,
    mixing,
    phase_order,
    plateau,
    same_top_share,
    similarity,
)
from taskvectors.score.published import published_numbers
from taskvectors.score.verdicts import verdict
from taskvectors.study.items import CLAIMS

TASKS = ["country-capital", "food-color"]
NUMBERS = st.floats(-1, 1)


BOOTSTRAP = Bootstrap(500, 0)


@given(st.lists(NUMBERS, min_size=2, max_size=2).map(sorted), NUMBERS)
def test_a_verdict_is_where_the_interval_lies(bounds, line):
    low, high = bounds
    above = verdict({"above": line}, low, high)
    if low > line:
        assert above == "holds"
    elif high < line:
        assert above == "does not hold"
    else:
        assert above == "undecided"
    assert verdict({"below": -line}, -high, -low) == above


def test_between_two_lines_all_of_the_interval_must_lie():
    claim = {"above": 0.4, "below": 0.6}
    assert verdict(claim, 0.45, 0.55) == "holds"
    assert verdict(claim, 0.3, 0.55) == "undecided"
    assert verdict(claim, 0.7, 0.9) == "does not hold"


def test_a_number_without_an_interval_decides_nothing():
    claim = {"claim": "c", "where": "w", "measure": "same_top", "tasks": ["t"], "above": 0.5}
    tops = pd.DataFrame({"specification": ["text_icl", "image_icl"], "token": " city"})
    known = evidence(decodings=tops.assign(task="t", word=True, rank=1))
    (row,) = claim_rows(claim, [known], {})
    assert (row["ours"], row["verdict"], row["why"]) == (
        1.0,
        "undecided",
        "a number without an interval",
    )


@given(st.integers(0, 2**32 - 1), st.floats(-0.3, 0.3), st.floats(0.01, 0.2))
def test_p_values_agree_with_verdicts(seed, centre, width):
    draws = np.random.default_rng(seed).normal(centre, width, size=2000)
    claim = {"above": -0.1, "below": 0.2}
    said = verdict(claim, *interval(draws))
    p = claim_p(claim, Found(centre, draws, "items"))
    if abs(p - 0.05) > 0.005:
        assert (said != "undecided") == (p < 0.05)


def test_holms_correction_takes_all_tested_rows_together():
    ps = [0.001, 0.02, 0.03, 0.2]
    rows = [{"p": p, "verdict": "holds" if p < 0.05 else "undecided"} for p in ps]
    rows = adjusted([*rows, {"verdict": "not measured"}])
    assert [row.get("adjusted_p") for row in rows[:4]] == pytest.approx([0.004, 0.06, 0.06, 0.2])
    assert [row["adjusted"] for row in rows] == ["holds", *["undecided"] * 3, "not measured"]


def answers(right: dict[str, np.ndarray]) -> Answers:
    """Methods to whether each answer was right, (tasks, seeds, items), on image queries."""
    rows = []
    for method, values in right.items():
        for (t, s, i), value in np.ndenumerate(values):
            seed = None if values.shape[1] == 1 else s + 1
            about = {"method": method, "query_modality": "image", "task": TASKS[t], "seed": seed}
            marks = {"paper": value, "strict": value, "paper, case-insensitive": value}
            rows.append({**about, "entity": str(i), **marks})
    return Answers(pd.DataFrame(rows), TASKS, BOOTSTRAP)


def evidence(**known) -> Evidence:
    """Evidence of what is known alone; ``answers`` are those of the shown template."""
    empty = dict.fromkeys(Evidence.__dataclass_fields__)
    if isinstance(known.get("answers"), Answers):
        known["answers"] = {"spaced": known["answers"]}
    return Evidence(**{**empty, "model": "m", "bootstrap": BOOTSTRAP, **known})


CLAIM = {"measure": "difference", "left": "a", "right": ["b"], "query": "image", "above": 0}


def test_a_difference_is_paired_by_item_and_against_the_best_of_the_others():
    rng = np.random.default_rng(1)
    b = rng.random((2, 2, 40)) < 0.5
    a = b | (np.arange(40) < 4)  # never worse than b, item by item
    right = {"a": a, "b": b, "c": np.zeros((2, 1, 40), dtype=bool)}
    claim = CLAIM | {"right": ["b", "c"]}
    measured, strict = difference(claim, evidence(answers=answers(right)))
    assert measured.value == pytest.approx(a.mean() - b.mean())
    low, high = interval(measured.draws)
    assert 0 <= low <= measured.value <= high < 0.15
    per_seed = a.mean(axis=(0, 2)) - b.mean(axis=(0, 2))
    assert measured.spread == pytest.approx(per_seed.std())
    assert (measured.items, measured.seeds) == (80, 2)
    assert (measured.metric, strict.metric) == ("paper", "strict")
    shuffled = right | {"b": rng.permuted(b, axis=2)}
    unpaired = difference(claim, evidence(answers=answers(shuffled)))[0]
    assert unpaired.value == pytest.approx(measured.value)
    assert np.ptp(interval(unpaired.draws)) > 1.5 * (high - low)


def test_answers_of_another_kind_are_paired_with_the_shown_ones_by_entity():
    rng = np.random.default_rng(0)
    own = rng.random((2, 2, 40)) < 0.5
    better = own | (np.arange(40) < 8)
    known = {
        "spaced": answers({"text_icl_xpatch": own}),
        "transferred": answers({"text_icl_xpatch": better}),
    }
    claim = CLAIM | {"left": "transferred/text_icl_xpatch", "right": ["text_icl_xpatch"]}
    measured = difference(claim, evidence(answers=known))[0]
    assert measured.value == pytest.approx(better.mean() - own.mean())
    assert interval(measured.draws)[0] > 0
    with pytest.raises(NotMeasured, match="no answers of the kind chat"):
        difference(CLAIM | {"left": "chat/text_icl_xpatch"}, evidence(answers=known))


def test_from_five_seeds_on_a_difference_is_over_items_and_seeds():
    rng = np.random.default_rng(0)
    seeds = np.linspace(0.1, 0.9, 5)[:, None]
    a = rng.random((2, 5, 60)) < seeds
    few = difference(CLAIM, evidence(answers=answers({"a": a[:, :4], "b": ~a[:, :4]})))[0]
    many = difference(CLAIM, evidence(answers=answers({"a": a, "b": ~a})))[0]
    assert (few.interval, many.interval) == ("items", "items and seeds")
    assert np.ptp(interval(many.draws)) > 2 * np.ptp(interval(many.over_items))


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


SPREAD = {"measure": "spread", "left": "ensemble", "right": "text_icl", "query": "image"}


def test_the_fewest_samples_are_taken_and_their_spread_compared_from_ten_seeds_on():
    still, moving = np.zeros((2, 10, 8)), np.zeros((2, 10, 8))
    moving[:, ::2] = 1.0
    right = {"ensemble_n5_xpatch": still, "text_icl_n5_xpatch": moving}
    right |= {"text_icl_n10_xpatch": still, "ensemble_n10_xpatch": moving}
    measured = spread(SPREAD, evidence(answers=answers(right)))[0]
    assert (measured.value, measured.metric) == (-0.5, "paper, case-insensitive")
    assert interval(measured.draws)[1] < 0
    few = {method: values[:, :9] for method, values in right.items()}
    with pytest.raises(NotMeasured, match="a spread takes 10 seeds or more, not 9"):
        spread(SPREAD, evidence(answers=answers(few)))


def test_what_answers_owe_to_their_queries_is_what_a_stuck_answer_lacks():
    rows = []
    for task in TASKS:
        for number in range(30):
            label = "red" if number % 2 else "green"
            for method, token in (("stuck", "red"), ("knows", label)):
                about = {"method": method, "query_modality": "image", "task": task, "seed": 1}
                marks = {"paper": token == label, "strict": token == label}
                asked = {"entity": str(number), "label": label, "label_token_ids": len(label)}
                rows.append(about | asked | marks | {"token": token, "token_ids": len(token)})
    known = evidence(answers=Answers(pd.DataFrame(rows), TASKS, BOOTSTRAP))
    claim = {"measure": "dependence", "query": "image", "above": 0}
    stuck, _ = dependence(claim | {"left": "stuck"}, known)
    knows, _ = dependence(claim | {"left": "knows"}, known)
    assert (stuck.value, knows.value) == pytest.approx((0.0, 0.5))
    assert interval(stuck.draws) == pytest.approx((0, 0), abs=1e-12)
    assert 0.35 < interval(knows.draws)[0] < interval(knows.draws)[1] <= 0.5 + 1e-9


def conflicting(patched: list[str], unpatched: list[str]) -> pd.DataFrame:
    """Answers to prompts for a capital, with the instruction for a coin patched and without."""
    rows = []
    for specification, tokens in (("instruction", patched), (None, unpatched)):
        for number, token in enumerate(tokens):
            rows.append({"prompted": "capital", "patched": "coin", "specification": specification})
            rows[-1] |= {"query_modality": "image", "seed": None, "entity": str(number)}
            rows[-1] |= {"prompted_label": "Paris", "prompted_label_token_ids": 1, "token": token}
            rows[-1] |= {"patched_label": "Franc", "patched_label_token_ids": 2, "token_ids": 3}
    return pd.DataFrame(rows)


OVERRIDE = {"measure": "override", "left": "instruction", "above": 0}


def test_a_patch_overrides_often_where_it_takes_over_half_of_what_the_prompt_gives():
    tokens = ["Franc"] * 15 + ["Paris"] * 5
    known = evidence(conflicts=conflicting(tokens, ["Paris"] * 20))
    with pytest.raises(NotMeasured, match="text_icl was not patched"):
        override(OVERRIDE | {"left": "text_icl"}, known)
    with pytest.raises(NotMeasured, match="gives nothing that a patch could override"):
        override(OVERRIDE, known)  # by the strict metric, whose tokens are none of them
    conflicts = conflicting(tokens, ["Paris"] * 20)
    ids = {"Franc": 2, "Paris": 1}
    known = evidence(conflicts=conflicts.assign(token_ids=conflicts["token"].map(ids)))
    paper, strict = override(OVERRIDE, known)
    assert (paper.value, strict.value) == (0.25, 0.25)  # 15 of 20, where half of 20 is the line
    low, high = interval(paper.draws)
    assert 0 <= low < 0.15 and 0.35 < high <= 0.5


@pytest.mark.parametrize(
    ("patched", "unpatched", "value"),
    [
        # One in a hundred more for the patched task than for the prompted one is not often.
        (["Franc"] * 20 + ["Paris"] * 19 + ["?"] * 61, ["Paris"] * 60 + ["?"] * 40, -0.10),
        (["Franc"] * 1 + ["?"] * 99, ["Paris"] * 60 + ["?"] * 40, -0.29),
        (["Franc"] * 50 + ["?"] * 50, ["Paris"] * 60 + ["?"] * 40, 0.20),
        (["Franc"] * 50 + ["Paris"] * 50, ["Paris"] * 60 + ["?"] * 40, 0.0),
    ],
)
def test_what_a_patch_overrides_is_held_against_the_prompt_unpatched(patched, unpatched, value):
    conflicts = conflicting(patched, unpatched)
    ids = {"Franc": 2, "Paris": 1, "?": 9}
    known = evidence(conflicts=conflicts.assign(token_ids=conflicts["token"].map(ids)))
    paper, _ = override(OVERRIDE, known)
    assert paper.value == pytest.approx(value)
    low, high = interval(paper.draws)
    assert low <= value <= high
    said = verdict(OVERRIDE, low, high)
    assert said == ("undecided" if value == 0 else "holds" if value > 0 else "does not hold")


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
    assert (measured.value, measured.interval, measured.spread) == (0.75, "tasks", 0.25)
    assert interval(measured.draws) == (0.5, 1.0)  # one task of two is drawn, again and again


def validation(curves: dict[tuple[str, int], list[float]], items: int = 10) -> pd.DataFrame:
    """Validation answers whose first so many of ten items are right at each layer."""
    rows = [
        {"task": task, "seed": seed, "layer": layer, "entity": str(item)}
        | {"paper": item < round(accuracy * items)}
        for (task, seed), curve in curves.items()
        for layer, accuracy in enumerate(curve)
        for item in range(items)
    ]
    return pd.DataFrame(rows)


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
    known = evidence(validation=validation(curves), layer=layer, paradigm="late-fusion")
    deep = depth({"paradigm": "late-fusion"}, known)[0]
    assert (deep.value, deep.interval, deep.spread) == (0.25, "items", 0.125)
    assert set(deep.draws) <= {0.0, 0.25, 0.5, 0.75} and interval(deep.draws)[0] <= 0.25
    flat = plateau({"tasks": ["food-color"]}, known)[0]
    assert flat.value == pytest.approx(0.3 / 0.4 - 0.2 / 0.5)
    assert np.isnan(interval(flat.draws)).all()  # some draws have no right answer at any layer
    always = {
        (task, seed): [0, 1, 1, 1] for task in ("food-flavor", "animal-young") for seed in (1, 2)
    }
    known = evidence(validation=validation(curves | always), layer=layer, paradigm="late-fusion")
    flat = plateau({"tasks": ["food-color", "food-flavor"]}, known)[0]
    low, high = interval(flat.draws)  # where the first of a kind has none, the other stands alone
    assert low <= flat.value <= high
    higher = {key: [0.5 + accuracy / 2 for accuracy in curve] for key, curve in curves.items()}
    known = evidence(validation=validation(higher), layer=layer, paradigm="late-fusion")
    flat = plateau({"tasks": ["food-color"]}, known)[0]
    low, high = interval(flat.draws)
    assert low < flat.value < high
    with pytest.raises(NotMeasured, match="late-fusion"):
        depth({"paradigm": "early-fusion"}, known)


def test_specifications_mix_from_the_first_layer_to_the_one_nearest_the_chosen():
    rows = [
        {"layer": layer, "task": "t", "specification": "text_icl", "seed": 1, "set": number}
        | {"own_silhouette_specification": apart + 0.1 * number, "own_silhouette_task": 0.5}
        for layer, apart in ((0, 0.9), (6, 0.2), (12, 0.7))
        for number in range(3)
    ]
    rows.append({"layer": 6, "task": "t", "specification": "instruction"})
    known = evidence(layer={"layer": 8}, places=pd.DataFrame(rows))
    measured = mixing({}, known)[0]
    assert (measured.value, measured.interval) == (pytest.approx(0.7), "exemplar sets")
    assert interval(measured.draws) == pytest.approx((0.7, 0.7))
    assert by_task({}, known)[0].value == pytest.approx(0.2)
    alone = pd.DataFrame(rows).assign(own_silhouette_task=np.nan)
    with pytest.raises(NotMeasured, match="only one specification or one task"):
        by_task({}, evidence(layer={"layer": 8}, places=alone))


def test_similarities_are_compared_task_by_task():
    rows = [("same task", "a", 0.9), ("different tasks", "a", 0.6)]
    rows += [("same task", "b", 0.8), ("different tasks", "b", 0.4)]
    table = pd.DataFrame(rows, columns=["pairs", "task", "cosine_similarity"])
    measured = similarity({}, evidence(similarity=table))[0]
    assert (measured.value, measured.interval) == (pytest.approx(0.35), "tasks")
    assert interval(measured.draws) == pytest.approx((0.3, 0.4))


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
    assert numbers("A language model and") == {"llava-v1.5": 0.37, "idefics2": 0.31}


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
