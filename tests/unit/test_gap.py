"""What a gap between modalities does: the numbers of one model, and models beside each other."""

import json

import pandas as pd
import pytest

from taskvectors.render.gap import render_gap
from taskvectors.render.item import ShownItem
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.evidence import Evidence
from taskvectors.score.gap import COLUMNS, METHODS, earned, likeness, seen
from taskvectors.score.measures_layers import phase_likeness


def sight() -> pd.DataFrame:
    rows = [
        ("naming", "foods", "text", 1.0, None, 35),
        ("naming", "foods", "image", 0.75, None, 35),
        ("neutral question", "letter", "text", 0.8, 0.05, 100),
        ("neutral question", "letter", "image", 0.6, 0.05, 100),
    ]
    return pd.DataFrame(rows, columns=["measure", "of", "modality", "value", "constant", "items"])


def test_images_stand_beside_written_names_and_the_names_trained_on():
    naming = {"held_out": {"foods": {"accuracy": 0.9, "images": 35}}}
    closed, greedy, letter = seen(sight(), naming)
    assert (closed["value"], closed["items"]) == (0.9, 35)
    assert (greedy["value"], greedy["name"]) == (0.75, 1.0)
    assert (letter["value"], letter["name"], letter["constant"]) == (0.6, 0.8, 0.05)


def test_likeness_is_one_where_both_specifications_evolve_alike_and_minus_one_where_mirrored():
    curve = [0.1, 0.4, 0.9]
    rows = [
        (task, "answer", layer, specification, value)
        for task, image_curve in (("a", curve), ("b", [1 - value for value in curve]))
        for specification, shown in (("text_icl", curve), ("image_icl", image_curve))
        for layer, value in enumerate(shown)
    ]
    columns = ["task", "phase", "layer", "specification", "probability"]
    phases = pd.DataFrame(rows, columns=columns).assign(seed=1)
    found = likeness(phases)
    assert (found["value"], found["items"]) == (pytest.approx(0.0), 2)
    assert likeness(phases[phases["task"] == "a"])["value"] == pytest.approx(1.0)


def test_both_tables_correlate_each_seed_with_itself_and_not_the_means_over_seeds():
    # Of one seed text and image ICL are alike, of the other opposite; their means are alike.
    curves = {1: ([0.1, 0.5, 0.9], [0.1, 0.5, 0.9]), 2: ([0.2, 0.3, 0.4], [0.4, 0.3, 0.2])}
    rows = [
        ("a", seed, "answer", layer, specification, value)
        for seed, both in curves.items()
        for specification, curve in zip(("text_icl", "image_icl"), both, strict=True)
        for layer, value in enumerate(curve)
    ]
    rows.append(("a", None, "answer", 0, "instruction", 0.7))
    columns = ["task", "seed", "phase", "layer", "specification", "probability"]
    phases = pd.DataFrame(rows, columns=columns)
    known = dict.fromkeys(Evidence.__dataclass_fields__)
    evidence = Evidence(**{**known, "phases": phases, "bootstrap": Bootstrap(10, 0)})
    (claimed,) = phase_likeness({}, evidence)
    assert claimed.value == likeness(phases)["value"] == pytest.approx(0.0)
    assert (claimed.spread, claimed.seeds) == (pytest.approx(1.0), 2)


def test_a_model_that_takes_one_specification_has_no_likeness():
    rows = [("a", 1, "answer", layer, "text_icl", 0.1 * layer) for layer in range(3)]
    columns = ["task", "seed", "phase", "layer", "specification", "probability"]
    found = likeness(pd.DataFrame(rows, columns=columns))
    assert (found["items"], pd.isna(found["value"])) == (0, True)


def test_what_is_earned_is_above_a_constant_by_the_papers_metric_over_all_tasks():
    rows = [
        {
            "method": method,
            "query_modality": modality,
            "metric": metric,
            "task": task,
            "excess": value,
            "excess_low": value - 0.1,
            "excess_high": value + 0.1,
            "distinct": 0.5,
            "items": 9,
        }
        for value, method in enumerate(METHODS)
        for modality, metric, task in (
            ("image", "paper", "average"),
            ("image", "strict", "average"),
            ("image", "paper", "one"),
            ("text", "paper", "average"),
        )
    ]
    found = pd.DataFrame(earned(pd.DataFrame(rows)))
    above = found[found["measure"] == "accuracy above a constant"]
    assert above.set_index("of")["value"].to_dict() == dict(zip(METHODS, range(4), strict=True))
    assert (above["low"] < above["value"]).all()


def test_models_stand_beside_each_other_and_what_one_lacks_is_a_dash(tmp_path):
    first = {"measure": "naming", "of": "foods", "value": 0.75, "name": 1.0}
    second = {"measure": "accuracy above a constant", "of": "x", "value": 0.1}
    paths = []
    for model, rows in (("a", [first, second | {"low": -0.1, "high": 0.3}]), ("b", [first])):
        paths.append(tmp_path / f"{model}.csv")
        pd.DataFrame(rows).reindex(columns=COLUMNS).to_csv(paths[-1], index=False)
    caption = tmp_path / "caption.rst"
    caption.write_text("Shows the gap.")
    item = ShownItem(
        models=["a", "b"],
        tasks=["t"],
        inputs={"gap": paths, "caption": [caption]},
        name="table_gap",
        experiment="gap",
        seeing=[],
        out=tmp_path / "table_gap",
        templates=[],
        language_models=[],
    )
    render_gap(item)
    shown = json.loads((tmp_path / "table_gap.json").read_text())
    assert "0.75 (name 1.00)" in json.dumps(shown)
    text = (tmp_path / "table_gap.md").read_text()
    assert "+0.10 [-0.10, +0.30]" in text and "–" in text
