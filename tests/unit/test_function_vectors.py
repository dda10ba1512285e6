"""Function vectors beside task vectors and prompting: every accuracy where it belongs."""

import json

import pandas as pd
import pytest

from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render.function_vectors import COMPOSITION, FUNCTION_VECTORS, render_accuracies
from taskvectors.render.item import ShownItem
from taskvectors.score.accuracy import score
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap

TASKS = ["food-color", "food-flavor"]
ALL = list(dict.fromkeys([*FUNCTION_VECTORS, *COMPOSITION]))


def test_methods_are_named_by_the_modality_that_they_stand_for():
    assert [method for method, query in FUNCTION_VECTORS if query == "image"] == [
        *("text_icl_xbase", "text_icl_xpatch", "text_icl_xinject", "text_icl_xfunction"),
        *("image_icl_base", "image_icl_patch", "image_icl_inject", "image_icl_function"),
    ]
    assert [method for method, query in COMPOSITION if query == "image"] == [
        *("text_icl_xpatch", "image_icl_patch", "composed_patch"),
        *("text_icl_xfunction", "image_icl_function", "composed_function"),
    ]
    text = dict.fromkeys(method for method, query in COMPOSITION if query == "text")
    assert {"composed_xpatch", "composed_xfunction", "image_icl_xpatch"} <= set(text)


@pytest.fixture
def item(tmp_path, root):
    """A model that was asked four queries by every method, and one that was asked by a single
    one. Method number n of `ALL` has n % 5 right, and of food-flavor none."""
    rows = [
        (method, query, task, f"e{number}", task == TASKS[0] and number < place % 5)
        for place, (method, query) in enumerate(ALL)
        for task in TASKS
        for number in range(4)
    ]
    columns = ["method", "query_modality", "task", "entity", "paper"]
    test = pd.DataFrame(rows, columns=columns).assign(strict=False, seed=1)
    only = test[test["method"] == "text_icl_function"]
    for model, answered in (("full", test), ("bare", only)):
        table = score(Answers(answered, TASKS, Bootstrap(200, 0)))
        write_frame(tmp_path / f"{model}.csv", table)

    def named(name: str) -> ShownItem:
        inputs = {"scores": [tmp_path / f"{model}.csv" for model in ("full", "bare")]}
        inputs["caption"] = [root / f"workflow/report/{name}.rst"]
        nothing = {"seeing": [], "templates": [], "language_models": []}
        out = tmp_path / name
        return ShownItem(["full", "bare"], TASKS, inputs, name, experiment="x", out=out, **nothing)

    return named


@pytest.mark.parametrize(
    ("name", "methods"),
    [("table_function_vectors", FUNCTION_VECTORS), ("table_composition", COMPOSITION)],
)
def test_every_method_stands_with_its_accuracies_and_what_was_not_asked_is_missing(
    item, name, methods
):
    render_accuracies(item(name))
    table = read_frame(item(name).out.with_suffix(".csv"))
    assert len(table) == 2 * 2 * len(methods)
    full = table[(table["model"] == "full") & (table["metric"] == "paper")]
    assert list(zip(full["method"], full["query_modality"], strict=True)) == methods
    expected = [(ALL.index(method) % 5) / 4 for method in methods]
    assert full["food-color"].tolist() == expected
    assert (full["average"] == full["food-color"] / 2).all()
    bare = table[(table["model"] == "bare") & (table["method"] != "text_icl_function")]
    assert bare[[*TASKS, "average"]].isna().all(axis=None)


def test_the_table_is_printed_as_the_others_with_the_queries_of_its_tasks(item):
    render_accuracies(item("table_composition"))
    out = item("table_composition").out
    printed = json.loads(out.with_suffix(".json").read_text())
    keys = ["model", "method", "query_modality", "metric"]
    assert printed["columns"] == [*keys, *TASKS, "average", "constant", "interval"]
    text = out.with_suffix(".md").read_text()
    assert "full: test items food-color 4, food-flavor 4; 1 seeds." in text
    assert "bare: test items food-color not asked, food-flavor not asked; 0 seeds." in text
