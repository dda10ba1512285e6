"""Discordant pairs and power, against counts by hand and simulations of another kind."""

from __future__ import annotations

from math import comb

import numpy as np
import pandas as pd
import pytest

from taskvectors.render.pairs import p_text, printed_pairs
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.pairs import pairs
from taskvectors.score.power import powers, smallest_difference

TASKS = ["country-capital", "country-currency"]


def answers(one: np.ndarray, other: np.ndarray) -> Answers:
    """What was right of text_icl_xpatch and text_icl_xbase: (tasks, seeds, items) each."""
    rows = [
        {"method": method, "query_modality": "image", "task": TASKS[t], "seed": s + 1}
        | {"entity": f"{i:03}", "paper": bool(value), "strict": bool(value)}
        for method, values in (("text_icl_xpatch", one), ("text_icl_xbase", other))
        for (t, s, i), value in np.ndenumerate(values)
    ]
    return Answers(pd.DataFrame(rows), TASKS, Bootstrap(2000, 0))


def test_pairs_are_counted_and_tested_exactly_within_a_seed():
    one, other = np.zeros((2, 2, 12), dtype=bool), np.zeros((2, 2, 12), dtype=bool)
    one[0, 0, :9] = True
    other[0, 0, 8:10] = True
    table = pairs(answers(one, other))
    table = table[table["metric"] == "paper"]
    first = table[(table["task"] == TASKS[0]) & (table["seed"] == 1)].iloc[0]
    counts = ["both", "method_only", "other_only", "neither"]
    assert first[counts].tolist() == [1, 8, 1, 2]
    assert first["p"] == pytest.approx(2 * (comb(9, 0) + comb(9, 1)) / 2**9)
    assert (first["test"], first["difference"]) == ("exact McNemar", pytest.approx(7 / 12))
    whole = table[table["task"] == "all"].iloc[0]
    assert whole[counts].tolist() == [1, 8, 1, 38]
    assert whole["difference"] == pytest.approx(7 / 48)
    printed = printed_pairs(table.assign(model="m"))
    assert printed.set_index("task")["McNemar p by seed"].to_dict() == {
        TASKS[0]: f"{first['p']:.3f}, 1.000",
        TASKS[1]: "1.000, 1.000",
        "all": "–",
    }
    assert p_text(0.0004) == "<0.001"


def test_an_entity_that_is_asked_again_and_again_counts_once():
    """Eight answers of one entity are no eight pairs: McNemar on all of them would say p < 0.01."""
    one, other = np.zeros((2, 4, 12), dtype=bool), np.zeros((2, 4, 12), dtype=bool)
    one[:, :, 0] = True
    whole = pairs(answers(one, other)).query("metric == 'paper' and task == 'all'").iloc[0]
    assert whole["method_only"] == 8
    assert whole["p"] == 1.0
    for_one_item_each = pairs(answers(np.ones_like(one), other))
    row = for_one_item_each.query("metric == 'paper' and task == 'all'").iloc[0]
    assert row["p"] == pytest.approx(2 / 2**12, abs=2e-3)


def test_the_smallest_difference_has_the_power_that_it_says():
    """Simulated again as whole experiments, whose intervals are the bootstrap's own."""
    rng = np.random.default_rng(0)
    each = pd.Series(rng.choice([-1.0, 0.0, 1.0], p=[0.15, 0.7, 0.15], size=60))
    each -= each.mean()
    each.index = [f"{number:03}" for number in range(60)]
    bootstrap = Bootstrap(400, 0)
    smallest = smallest_difference({"t": each}, {"t": 60}, bootstrap)
    shown = 0
    weights = bootstrap.weights(each.index)
    for _ in range(600):
        drawn = rng.choice(each.to_numpy(), size=60) + smallest
        shown += np.percentile(weights @ drawn, 2.5) > 0
    assert 0.76 < shown / 600 < 0.84


def test_power_is_of_this_runs_sizes_and_the_papers():
    rng = np.random.default_rng(0)
    one = rng.random((2, 3, 20)) < 0.5
    other = rng.random((2, 3, 20)) < 0.5
    sizes = {"this run's": dict.fromkeys(TASKS, 20), "the paper's": dict.fromkeys(TASKS, 80)}
    table = powers(answers(one, other), sizes)
    table = table[table["metric"] == "paper"].set_index("sizes")
    assert table["items"].to_dict() == {"this run's": 40, "the paper's": 160}
    assert table["discordant"].tolist() == pytest.approx([(one != other).mean()] * 2)
    assert table["difference"].tolist() == pytest.approx([one.mean() - other.mean()] * 2)
    ours, papers = table["smallest"]
    assert papers == pytest.approx(ours / 2, rel=0.1)
