"""The bootstrap keeps its word: intervals cover what they should, draws belong to items."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap, average, estimate, interval, p_value

# Test items by entity set, each with two tasks: of config.yaml, and of the paper.
SIZES = {
    "config": {"countries": 100, "mammals": 32, "foods": 23},
    "paper": {"countries": 100, "mammals": 100, "foods": 100},
}
NAMED, MISNAMED = 0.6, 0.02  # share of images named rightly; accuracy where they are not
ACCURACIES = (0.6, 0.8)  # of an entity set's two tasks where the image is named rightly
TRUE_AVERAGE = NAMED * np.mean(ACCURACIES) + (1 - NAMED) * MISNAMED


def experiment(
    sizes: dict[str, int], seeds: int, rng: np.random.Generator, luck: float = 0.0
) -> dict[tuple[str, int], pd.DataFrame]:
    """What was right in a simulated run: an image that is misnamed is wrong in both tasks.

    A share ``luck`` of the accuracy on named images is the seed's: all of it or nothing.
    """
    found = {}
    for name, items in sizes.items():
        named = rng.random(items) < NAMED
        for task, accuracy in enumerate(ACCURACIES):
            easy = rng.beta(2 * accuracy, 2 * (1 - accuracy), size=items)
            lucky = rng.random((seeds, 1)) < accuracy
            likely = np.where(named, (1 - luck) * easy + luck * lucky, MISNAMED)
            right = rng.random((seeds, items)) < likely
            entities = [f"{name} {number}" for number in range(items)]
            found[name, task] = pd.DataFrame(right, range(1, seeds + 1), entities, dtype=float)
    return found


def coverage(sizes: dict[str, int], apart: bool, runs: int = 600) -> float:
    """How often the average's interval holds the true average, over simulated experiments.

    With ``apart`` the tasks of an entity set are drawn each by themselves.
    """
    rng, bootstrap = np.random.default_rng(0), Bootstrap(500, 0)
    hits = 0
    for _ in range(runs):
        right = experiment(sizes, 3, rng)
        if apart:
            right = {
                key: table.rename(columns=lambda name, task=key[1]: f"{name} of task {task}")
                for key, table in right.items()
            }
        whole = average([estimate(table, bootstrap) for table in right.values()])
        low, high = interval(whole.over_items)
        hits += low <= TRUE_AVERAGE <= high
    return hits / runs


@pytest.mark.parametrize("sizes", SIZES)
def test_the_averages_interval_covers_what_it_says(sizes):
    assert 0.93 <= coverage(SIZES[sizes], apart=False) <= 0.97


def test_tasks_that_are_drawn_apart_do_not_cover_it():
    """What shared draws are for: an image's fate is one for both of its tasks."""
    assert coverage(SIZES["config"], apart=True) < 0.92


def test_exemplar_draws_widen_the_interval_as_much_as_they_vary():
    rng, bootstrap = np.random.default_rng(1), Bootstrap(500, 0)
    over_items, over_both = [], []
    for _ in range(300):
        right = experiment({"countries": 100}, 5, rng, luck=0.3)
        whole = average([estimate(table, bootstrap) for table in right.values()])
        for draws, hits in ((whole.over_items, over_items), (whole.over_both, over_both)):
            low, high = interval(draws)
            hits.append(low <= TRUE_AVERAGE <= high)
    assert np.mean(over_items) < 0.92
    assert 0.92 <= np.mean(over_both) <= 0.99


@given(
    st.lists(st.text(min_size=1, max_size=4), min_size=2, max_size=9, unique=True),
    st.integers(0, 9),
)
def test_draws_depend_on_the_items_and_the_seed_alone(items, seed):
    draws = Bootstrap(50, seed).weights(items)
    assert draws.shape == (50, len(items))
    assert draws.sum(axis=1) == pytest.approx(1.0)
    assert (draws == Bootstrap(50, seed).weights(tuple(items))).all()
    assert not (draws == Bootstrap(50, seed + 1).weights(items)).all()
    assert (np.sort(Bootstrap(50, seed).shuffles(items)) == np.arange(len(items))).all()


def test_an_interval_has_the_width_that_theory_gives_even_for_few_items():
    values = np.arange(12.0)
    whole = estimate(pd.DataFrame([values], columns=list("abcdefghijkl")), Bootstrap(20000, 0))
    expected = values.std(ddof=1) / np.sqrt(12)  # with all 12 drawn it would be 4 % narrower
    assert whole.over_items.std() == pytest.approx(expected, rel=0.015)


def test_a_method_that_is_added_changes_no_digit_of_another():
    rng = np.random.default_rng(0)
    rows = [
        {"method": method, "query_modality": "image", "task": "t", "seed": seed}
        | {"entity": str(item), "paper": rng.random() < 0.5}
        for method in ("first", "second", "third")
        for seed in (1, 2)
        for item in range(20)
    ]
    whole = pd.DataFrame(rows)
    alone = whole[whole["method"] == "third"]
    found = [
        Answers(test, ["t"], Bootstrap(100, 0)).average("third", "image", "paper").intervals()
        for test in (whole, alone, whole.iloc[::-1])
    ]
    assert found[0] == found[1] == found[2]


def test_p_values_count_the_draws_beyond_the_line_and_are_never_zero():
    draws = np.arange(1, 100) / 100
    assert p_value(draws, 0.0) == 2 * 1 / 100
    assert p_value(draws, 0.05) == 2 * 6 / 100
    assert p_value(draws, 0.5) == 1.0
    assert np.isnan(p_value(np.full(9, np.nan), 0.5))


def test_methods_of_other_seeds_are_not_compared():
    rows = np.ones((3, 4))
    three = estimate(pd.DataFrame(rows, [1, 2, 3]), Bootstrap(10, 0))
    two = estimate(pd.DataFrame(rows[:2], [1, 2]), Bootstrap(10, 0))
    with pytest.raises(UserError, match="under 2 seeds, the other under 3"):
        three.less(two)
