"""Noisy instructions: how they are named, what is refused, and the table and the figure of them."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml

from taskvectors.base.errors import UserError
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render.instructions import draw_instructions, render_figure, render_table
from taskvectors.render.item import ShownItem
from taskvectors.score.accuracy import score
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.study.instructions import KINDS, WORDED, check_wordings, wordings_of
from taskvectors.study.predictions import method_name
from taskvectors.study.tasks import Task, read_tasks

TASKS = ["food-color", "food-flavor"]
# How many of four items are right, under every wording: by specification, prompted and patched.
RIGHT = {
    "instruction": (3, 4),
    "instruction_paraphrase": (2, 4),
    "instruction_typing_errors": (1, 3),
    "instruction_mean_of_wordings": (None, 2),
}


def task(name: str, **wordings: list[str]) -> Task:
    return Task(name, "foods", "color", "The color of the food:", wordings)


def test_every_task_of_the_paper_has_at_least_eight_wordings_and_all_kinds(root):
    studied = yaml.safe_load((root / "config.yaml").read_text())["tasks"]
    tasks = {name: read_tasks(root / "resources/tasks.yaml")[name] for name in studied}
    for one in tasks.values():
        named = wordings_of(one)
        assert next(iter(named.items())) == ("instruction", one.instruction)
        assert len(named) - 1 == len(set(named.values()) - {one.instruction}) >= 8
        assert set(one.wordings) == set(KINDS)
    check_wordings(tasks.values())


def test_wordings_are_named_by_kind_and_number_and_are_text():
    named = wordings_of(task("a", typing_errors=["teh:", "colro:"], paraphrase=["hue:"]))
    assert list(named) == [
        *("instruction", "instruction_paraphrase/1"),
        *("instruction_typing_errors/1", "instruction_typing_errors/2"),
    ]
    assert method_name("instruction_typing_errors", "image", "patch") == (
        "instruction_typing_errors_xpatch"
    )
    assert {method_name(one, "text", "base") for one in WORDED} == {f"{o}_base" for o in WORDED}


@pytest.mark.parametrize(
    ("tasks", "complaint"),
    [
        ([task("a")], "the task a has no wordings; add them in resources/tasks.yaml"),
        (
            [task("a", paraphrase=["x:"]), task("b", paraphrase=["x:", "y:"])],
            "b has 2 paraphrase, but a has 1 paraphrase; give each task as many",
        ),
        (
            [task("a", paraphrase=["x:"]), task("b", contradictory=["x:"])],
            "b has 1 contradictory, but a has 1 paraphrase",
        ),
    ],
)
def test_tasks_that_cannot_be_averaged_are_refused(tasks, complaint):
    with pytest.raises(UserError, match=complaint):
        check_wordings(tasks)


@pytest.fixture
def item(tmp_path, root):
    """One model's scores as a run has them, and a function that names the item."""
    rows = []
    for name, counts in RIGHT.items():
        wordings = 1 if name in ("instruction", "instruction_mean_of_wordings") else 2
        for way, right in zip(("base", "patch"), counts, strict=True):
            if right is None:
                continue
            method = method_name(name, "image", way)
            rows += [
                {"method": method, "query_modality": "image", "task": one, "entity": f"e{number}"}
                | {"seed": seed + 1 if wordings > 1 else None, "paper": number < right}
                for one in TASKS
                for seed in range(wordings)
                for number in range(4)
            ]
    rows += [
        {"method": "no_context", "query_modality": "image", "task": one, "entity": f"e{number}"}
        | {"seed": None, "paper": number < 1}
        for one in TASKS
        for number in range(4)
    ]
    answers = pd.DataFrame(rows).assign(strict=False)
    write_frame(tmp_path / "m.csv", score(Answers(answers, TASKS, Bootstrap(200, 0))))

    def named(name: str) -> ShownItem:
        inputs = {"scores": [tmp_path / "m.csv"], "caption": [root / f"workflow/report/{name}.rst"]}
        nothing = {"seeing": [], "templates": [], "language_models": []}
        return ShownItem(["m"], TASKS, inputs, name, experiment="x", out=tmp_path / name, **nothing)

    return named


def test_the_table_has_every_kind_prompted_and_patched_and_leaves_missing_what_was_not_asked(item):
    one = item("table_instructions")
    render_table(one)
    table = read_frame(one.out.with_suffix(".csv"))
    rows = table[(table["metric"] == "paper") & (table["query_modality"] == "image")]
    found = rows.set_index(["instruction", "way"])["average"]
    assert found["none", "no_context"] == 0.25
    assert found["plain", "prompt"] == 0.75 and found["plain", "patch"] == 1.0
    assert found["paraphrase", "prompt"] == 0.5 and found["paraphrase", "patch"] == 1.0
    assert found["typing_errors", "prompt"] == 0.25 and found["typing_errors", "patch"] == 0.75
    assert found["mean_of_wordings", "patch"] == 0.5
    assert ("mean_of_wordings", "prompt") not in found.index
    assert found.loc["contradictory"].isna().all()
    text = one.out.with_suffix(".md").read_text()
    assert "m: test items food-color 4, food-flavor 4" in text
    assert "m: wordings a task paraphrase 2, typing_errors 2." in text


def test_the_figure_has_prompt_and_patch_where_they_stand_and_no_line_where_nothing_was_asked(item):
    one = item("figure_instructions")
    render_figure(one)
    data = read_frame(one.out.with_suffix(".csv"))
    assert set(data["metric"]) == {"paper", "strict"}
    drawn = data[data["metric"] == "paper"]
    image, text = draw_instructions(drawn, ["m"]).axes
    prompt, patch = image.containers
    assert list(prompt[0].get_ydata()) == [0.75, 0.5, 0.25]
    assert list(patch[0].get_ydata()) == [1.0, 1.0, 0.75, 0.5]
    assert [round(x) for x in patch[0].get_xdata()] == [0, 1, 2, 6]
    assert not text.containers and text.texts[0].get_text() == "not measured"
