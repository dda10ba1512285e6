"""Where vectors are added and how strongly: chosen by hand, and the figure that shows it."""

from pathlib import Path

import pandas as pd
import pytest

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render.item import ShownItem
from taskvectors.render.strength import draw_strengths, over_tasks, render_strength
from taskvectors.score.strength import by_strength, choose_injection
from taskvectors.study.heads import Injection, read_injections, write_injections

# How many of four answers are right under text_icl_xfunction: by task, layer and strength.
RIGHT = {
    "a": {(0, 0.1): 1, (0, 2.0): 3, (1, 0.1): 4, (1, 2.0): 0},
    "b": {(0, 0.1): 0, (0, 2.0): 2, (1, 0.1): 1, (1, 2.0): 4},
}
# The others: by method and query modality, the same for both tasks at all layers and strengths.
OTHERS = {
    ("text_icl_function", "text"): 4,
    ("image_icl_function", "image"): 4,
    ("text_icl_xinject", "image"): 2,
}


def answers(method: str, query: str, task: str, layer: int, strength: float, right: int):
    """Four answers of which the first ``right`` are right."""
    about = {"model": "m", "template": "spaced", "split": "validation", "specification": "text_icl"}
    about |= {"seed": 1, "position": 3, "neighbourhood": "", "forced_boundary": False}
    about |= {"label": "calf", "label_token_id": 7, "label_token_ids": "7"}
    about |= {"label_token": " calf", "logit_difference": 1.0}
    about |= {"method": method, "query_modality": query, "task": task, "layer": layer}
    return [
        Injection(
            **about,
            entity=f"e{number}",
            token=" calf" if number < right else " no",
            token_id=7 if number < right else 8,
            token_ids="7" if number < right else "8",
            strength=strength,
        )
        for number in range(4)
    ]


@pytest.fixture
def strengths(tmp_path: Path) -> pd.DataFrame:
    rows = []
    for task, counts in RIGHT.items():
        for place, right in counts.items():
            rows += answers("text_icl_xfunction", "image", task, *place, right)
            for (method, query), same in OTHERS.items():
                rows += answers(method, query, task, *place, same)
    write_injections(tmp_path / "validation.parquet", rows)
    return by_strength(read_injections([tmp_path / "validation.parquet"]))


def test_accuracy_by_strength_names_strengths_as_configured(strengths):
    columns = ["method", "query_modality", "task", "layer", "strength", "metric", "accuracy"]
    assert strengths.columns.tolist() == [*columns, "items"]
    part = strengths[(strengths["method"] == "text_icl_xfunction") & (strengths["task"] == "a")]
    strict = part[part["metric"] == "strict"].set_index(["layer", "strength"])
    assert strict["accuracy"].to_dict() == {place: n / 4 for place, n in RIGHT["a"].items()}
    assert set(part["strength"]) == {0.1, 2.0} and set(part["items"]) == {4}


def test_of_equal_averages_on_image_queries_the_first_layer_is_chosen(strengths):
    # Averages: 1/8 and 5/8 of layer 0, 5/8 and 4/8 of layer 1.
    assert choose_injection(strengths, "function", ["a", "b"]) == {
        "layer": 0,
        "strength": 2.0,
        "method": "text_icl_xfunction",
        "metric": "paper",
        "validation_accuracy": 0.625,
    }
    chosen = choose_injection(strengths[strengths["task"] == "a"], "function", ["a"])
    assert (chosen["layer"], chosen["strength"]) == (1, 0.1)
    inject = choose_injection(strengths, "inject", ["a", "b"])
    assert (inject["layer"], inject["strength"], inject["validation_accuracy"]) == (0, 0.1, 0.5)


def test_text_queries_choose_where_there_are_no_images_and_a_lacking_task_is_refused(strengths):
    alone = strengths[strengths["query_modality"] == "text"]
    assert choose_injection(alone, "function", ["a", "b"])["method"] == "text_icl_function"
    with pytest.raises(UserError, match="no validation prediction of text_icl_xinject for c; run"):
        choose_injection(strengths, "inject", ["a", "c"])


@pytest.fixture
def item(tmp_path, root, strengths) -> ShownItem:
    write_frame(tmp_path / "by_strength.csv", strengths)
    chosen = {way: choose_injection(strengths, way, ["a", "b"]) for way in ("function", "inject")}
    write_json(tmp_path / "injection.json", chosen)
    return ShownItem(
        models=["m"],
        tasks=["a", "b"],
        inputs={
            "by_strength": [tmp_path / "by_strength.csv"],
            "injection": [tmp_path / "injection.json"],
            "caption": [root / "workflow/report/figure_strength.rst"],
        },
        name="figure_strength",
        experiment="x",
        seeing=[],
        out=tmp_path / "figure_strength",
        templates=[],
        language_models=[],
    )


def test_the_figure_has_a_line_per_strength_and_a_ring_around_what_was_chosen(item):
    data = over_tasks(item.joined("by_strength"), item.tasks)
    chosen = {"layer": 0, "strength": 2.0}
    drawn = data[data["metric"] == "paper"]
    figure = draw_strengths(drawn, {"m": {"function": chosen, "inject": chosen}}, [0.1, 2.0])
    crossed, injected, own, absent = figure.axes
    weak, strong, ring = crossed.lines
    assert weak.get_xydata().tolist() == [[0, 0.125], [1, 0.625]]
    assert strong.get_xydata().tolist() == [[0, 0.625], [1, 0.5]]
    assert ring.get_xydata().tolist() == [[0, 0.625]]
    assert set(injected.lines[0].get_ydata()) == {0.5} and set(own.lines[0].get_ydata()) == {1.0}
    assert (len(absent.lines), absent.texts[0].get_text()) == (0, "not measured")
    # The panels share one scale, on which the highest of them all is seen.
    low, high = crossed.get_ylim()
    assert low == 0 and high > own.lines[0].get_ydata().max() == 1.0


def test_what_lacks_a_task_has_no_average(item):
    strengths = item.joined("by_strength")
    lacking = strengths[(strengths["task"] == "a") | (strengths["layer"] == 0)]
    assert set(over_tasks(lacking, item.tasks)["layer"]) == {0}


def test_the_figures_files_have_all_averages_and_say_what_was_chosen(item):
    render_strength(item)
    data = read_frame(item.out.with_suffix(".csv"))
    assert len(data) == 4 * 4 * 2 and set(data["items"]) == {8}
    text = item.out.with_suffix(".md").read_text()
    assert (
        "m: validation items a 4, b 4; chosen: function vector after layer 0 with strength 2 "
        in text
    )
    assert "(0.62), task vector after layer 0 with strength 0.1 (0.50)." in text
