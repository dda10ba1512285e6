"""Real vectors less their controls: differences by hand, what follows, and the table."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from taskvectors.render.controls import render_controls
from taskvectors.render.item import ShownItem
from taskvectors.score.accuracy import score
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.controls import control_pairs

TASKS = ["country-capital", "food-color"]
RIGHT = {  # of ten items, by task; the same under both seeds
    "text_icl_xpatch": (8, 6),
    "text_icl_random_xpatch": (0, 2),
    "text_icl_shuffled_labels_xpatch": (8, 6),
    "text_icl_other_task_xpatch": (10, 10),
    "no_context": (1, 0),
}


def answers(right: dict[str, tuple[int, ...]]) -> Answers:
    """The first so many of a task's ten items are right; a task without a number is not asked."""
    rows = [
        {"method": method, "query_modality": "image", "task": task, "entity": f"{item:02}"}
        | {"seed": None if method == "no_context" else seed, "token_id": item}
        | {"paper": item < count, "strict": False}
        for method, counts in right.items()
        for task, count in zip(TASKS, counts, strict=False)
        for seed in ((1,) if method == "no_context" else (1, 2))
        for item in range(10)
    ]
    return Answers(pd.DataFrame(rows), TASKS, Bootstrap(1000, 0))


def test_a_control_is_less_on_the_same_queries_and_its_interval_says_what_follows():
    table = control_pairs(answers(RIGHT))
    found = table[table["metric"] == "paper"].set_index(["vector", "task"])
    assert set(found["method"]) == {"text_icl_xpatch"}
    assert found["difference"].to_dict() == pytest.approx(
        {
            ("no_context", TASKS[0]): 0.7, ("no_context", TASKS[1]): 0.6,
            ("no_context", "average"): 0.65,
            ("random", TASKS[0]): 0.8, ("random", TASKS[1]): 0.4, ("random", "average"): 0.6,
            ("shuffled_labels", TASKS[0]): 0.0, ("shuffled_labels", TASKS[1]): 0.0,
            ("shuffled_labels", "average"): 0.0,
            ("other_task", TASKS[0]): -0.2, ("other_task", TASKS[1]): -0.4,
            ("other_task", "average"): -0.3,
        }
    )  # fmt: skip
    assert found.xs("average", level="task")["verdict"].to_dict() == {
        "no_context": "holds",
        "random": "holds",
        "shuffled_labels": "undecided",
        "other_task": "does not hold",
    }
    weights = Bootstrap(1000, 0).weights([f"{item:02}" for item in range(10)])
    drawn = weights @ np.array([0.0] * 2 + [1.0] * 4 + [0.0] * 4)  # of the second task alone
    ends = found.loc[("random", TASKS[1]), ["low", "high"]].tolist()
    assert ends == pytest.approx(np.percentile(drawn, [2.5, 97.5]))


def test_a_control_that_was_not_asked_of_every_task_is_missing():
    some = control_pairs(answers(RIGHT | {"text_icl_random_xpatch": (0,)}))
    assert set(some["vector"]) == {"no_context", "shuffled_labels", "other_task"}


def test_the_table_has_each_control_below_its_real_vector(tmp_path):
    asked = answers(RIGHT)
    paths = {"scores": tmp_path / "controls.csv", "pairs": tmp_path / "control_pairs.csv"}
    score(asked).to_csv(paths["scores"], index=False)
    control_pairs(asked).to_csv(paths["pairs"], index=False)
    caption = tmp_path / "caption.rst"
    caption.write_text("Shows controls.")
    item = ShownItem(
        models=["m"],
        tasks=TASKS,
        inputs={**{name: [path] for name, path in paths.items()}, "caption": [caption]},
        name="table_controls",
        experiment="tiny",
        seeing=[],
        out=tmp_path / "table_controls",
        templates=[],
        language_models=[],
    )
    render_controls(item)
    table = pd.read_csv(tmp_path / "table_controls.csv")
    rows = table[table["metric"] == "paper"].set_index("vector")
    below = ["real", "no_context", "shuffled_labels", "other_task", "random"]
    assert list(rows.index) == below
    assert rows["average"].tolist() == pytest.approx([0.7, 0.05, 0.7, 1.0, 0.1])
    assert rows["difference"].iloc[1:].tolist() == pytest.approx([0.65, 0.0, -0.3, 0.6])
    assert rows["verdict"].fillna("").tolist() == [
        *("", "holds", "undecided", "does not hold", "holds"),
    ]
    shown = json.loads((tmp_path / "table_controls.json").read_text())
    cells = [[cell["text"] for cell in row] for row in shown["rows"]]
    assert [row[4] for row in cells[:5]] == below
    assert cells[0][-2:] == ["–", "–"]
    assert cells[2][-2:] == ["+0.00 [+0.00, +0.00]", "undecided"]
