"""Figure 8 shows accuracies that are counted again here from the predictions."""

from __future__ import annotations

import pandas as pd
import pytest

from taskvectors.render.samples import draw_figure_8, gain_sentence
from taskvectors.score.samples import sample_accuracies
from taskvectors.study.metrics import CASELESS

TASKS = ["country-capital", "food-color"]
RIGHT = {("text_icl_n5", 1): 1, ("text_icl_n5", 2): 3, ("ensemble_n5", 1): 4, ("ensemble_n5", 2): 3}


def answered(model: str = "m", modality: str = "image") -> pd.DataFrame:
    """Four queries a task; the first few are right, in capitals, the rest wrong."""
    rows = []
    counts = RIGHT | {("text_icl", 1): 4, ("instruction", None): 2}
    for (specification, seed), right in counts.items():
        for task in TASKS:
            for number in range(4):
                rows.append(
                    {
                        "model": model,
                        "task": task,
                        "query_modality": modality,
                        "specification": specification,
                        "seed": seed,
                        "entity": str(number),
                        "token": " RED" if number < right else " no",
                        "label": "red",
                        "token_ids": 1,
                        "label_token_ids": 1 if number < right else 2,
                    }
                )
    return pd.DataFrame(rows)


def point(data: pd.DataFrame, specification: str, metric: str = CASELESS) -> pd.Series:
    chosen = (data["specification"] == specification) & (data["metric"] == metric)
    assert chosen.sum() == 1
    return data[chosen].iloc[0]


def test_accuracy_is_the_mean_over_seeds_and_tasks_without_regard_to_case():
    data = sample_accuracies(answered(), TASKS)
    exemplar, ensemble = point(data, "text_icl"), point(data, "ensemble")
    assert (exemplar["samples"], exemplar["accuracy"]) == (5, pytest.approx((1 / 4 + 3 / 4) / 2))
    assert (exemplar["least"], exemplar["greatest"], exemplar["seeds"]) == (0.25, 0.75, 2)
    assert ensemble["accuracy"] == pytest.approx((1 + 3 / 4) / 2)
    assert point(data, "instruction")["accuracy"] == 0.5
    assert point(data, "text_icl", "paper")["accuracy"] == 0.0
    assert point(data, "text_icl", "strict")["accuracy"] == 0.5


def test_the_full_vector_is_no_point_and_a_missing_task_is_no_zero():
    test = answered()
    dropped = (test["task"] == TASKS[1]) & (test["specification"] == "ensemble_n5")
    data = sample_accuracies(test[~dropped], TASKS)
    assert set(data["specification"]) == {"text_icl", "instruction"}
    assert set(data["samples"].dropna()) == {5}


def test_the_figure_draws_its_data_and_says_where_nothing_was_measured():
    asked = {"m": answered("m"), "blind": answered("blind", "text")}
    parts = [sample_accuracies(one, TASKS).assign(model=model) for model, one in asked.items()]
    data = pd.concat(parts)
    figure = draw_figure_8(data, ["m", "blind"])
    lines = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].get_lines()}
    assert lines["exemplar xpatch"] == [pytest.approx(0.5)]
    assert lines["instruction + exemplar xpatch"] == [pytest.approx(0.875)]
    assert lines["instruction xpatch"] == [0.5, 0.5]
    assert [text.get_text() for text in figure.axes[1].texts] == ["not measured"]
    published = pd.DataFrame([{"model": "idefics2", "samples": 5, "gain": 0.18}])
    assert gain_sentence(data, "m", published) == (
        "Ensemble over exemplars alone: m at 5 samples +0.38 "
        "(the paper: idefics2 at 5 samples +0.18)."
    )
    assert gain_sentence(data, "blind", published) == "blind: not measured."
