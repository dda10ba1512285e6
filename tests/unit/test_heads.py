"""Which heads carry tasks: effects, ranks and overlap by hand, and the items that show them."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from taskvectors.base.errors import UserError
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render import heads as shown
from taskvectors.render.item import ShownItem
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.score.heads import (
    MeanEffects,
    check_top,
    head_table,
    mean_effects,
    overlap_table,
    rank_correlations,
)
from taskvectors.study.heads import HeadEffect, read_effects, write_effects

BOOTSTRAP = Bootstrap(400, 0)
HEADS = [(0, 0), (0, 1), (1, 0), (1, 1)]
# What each head adds: by specification and task, a row per prompt.
GAINS = {
    ("text_icl", "a"): [[0.0, 0.2, 0.1, 0.0], [0.0, 0.4, 0.3, 0.0]],
    ("text_icl", "b"): [[0.0, 0.5, 0.0, 0.1], [-0.2, 0.5, 0.2, 0.1], [-0.4, 0.5, 0.1, 0.1]],
    ("image_icl", "a"): [[0.0, 0.3, 0.0, 0.2], [0.0, 0.3, 0.0, 0.2]],
    ("image_icl", "b"): [[0.0, 0.1, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0], [0.0, 0.1, 0.0, 0.0]],
}
# By hand: the mean over tasks of the means over prompts.
EFFECTS = {"text_icl": [-0.1, 0.4, 0.15, 0.05], "image_icl": [0.0, 0.2, 0.0, 0.1]}


def effects_file(folder: Path, *specifications: str) -> pd.DataFrame:
    """The gains of some specifications as a job writes them, read again."""
    rows = [
        HeadEffect("m", "spaced", task, name, prompt, f"e{prompt}", "l", *head, 0.25, 0.25 + gain)
        for (name, task), prompts in GAINS.items()
        if name in specifications
        for prompt, gains in enumerate(prompts)
        for head, gain in zip(HEADS, gains, strict=True)
    ]
    write_effects(folder / "effects.parquet", rows)
    return read_effects([folder / "effects.parquet"])


@pytest.fixture
def means(tmp_path):
    return mean_effects(effects_file(tmp_path, *EFFECTS), ["a", "b"], BOOTSTRAP)


def test_an_effect_is_averaged_over_prompts_and_then_over_tasks(means):
    table = head_table(means, 2).set_index("specification")
    for name, effects in EFFECTS.items():
        part = table.loc[name]
        assert list(zip(part["layer"], part["head"], strict=True)) == HEADS
        assert part["effect"].tolist() == pytest.approx(effects, abs=1e-6)
        assert set(part["prompts"]) == {5}
        assert (part["low"] <= part["effect"] + 1e-6).all()
        assert (part["effect"] <= part["high"] + 1e-6).all()


def test_rank_one_is_the_strongest_of_equals_the_first_and_the_top_is_chosen(means):
    table = head_table(means, 2).set_index("specification")
    assert table.loc["text_icl", "rank"].tolist() == [4, 1, 2, 3]
    assert table.loc["image_icl", "rank"].tolist() == [3, 1, 4, 2]
    assert table.loc["text_icl", "chosen"].tolist() == [False, True, True, False]


def test_an_interval_is_over_prompts_within_tasks(means):
    # Task a of two prompts is one of them, whole, in each draw; in b all add the same.
    table = head_table(means, 2).set_index(["specification", "layer", "head"])
    low, high = table.loc[("text_icl", 0, 1), ["low", "high"]]
    assert (low, high) == (pytest.approx(0.35, abs=1e-6), pytest.approx(0.45, abs=1e-6))
    low, high = table.loc[("image_icl", 0, 1), ["low", "high"]]
    assert (low, high) == (pytest.approx(0.2, abs=1e-6), pytest.approx(0.2, abs=1e-6))


def test_overlap_by_hand(means):
    (row,) = overlap_table(means, 2).to_dict("records")
    # {(0, 1), (1, 0)} and {(0, 1), (1, 1)} of four: one is shared, as by chance; of the six
    # choices of two heads, one shares none.
    assert (row["top"], row["heads"], row["shared"], row["expected"]) == (2, 4, 1, 1.0)
    assert row["p_value"] == pytest.approx(5 / 6)
    (whole,) = overlap_table(means, 4).to_dict("records")
    assert (whole["shared"], whole["p_value"]) == (4, pytest.approx(1.0))
    # Ranks 1, 4, 3, 2 and 1.5, 4, 1.5, 3: about their means 2.5 the products sum to 3.
    assert row["spearman"] == pytest.approx(3 / np.sqrt(5 * 4.5))
    assert -1 <= row["low"] <= row["spearman"] <= row["high"] <= 1


def test_the_interval_lies_about_a_correlation_though_drawing_again_adds_noise():
    heads = pd.DataFrame({"layer": np.arange(200), "head": 0})
    same, rng = np.linspace(0, 1, 200), np.random.default_rng(0)
    noisy = [MeanEffects(heads, same, same + rng.normal(0, 0.3, (300, 200)), 9) for _ in range(2)]
    means = dict(zip(EFFECTS, noisy, strict=True))
    (row,) = overlap_table(means, 10).to_dict("records")
    raw = rank_correlations(means["text_icl"].resampled, means["image_icl"].resampled)
    assert raw.max() < 0.9 and row["spearman"] == pytest.approx(1.0)
    assert (row["high"], row["high"] - row["low"]) == (
        1.0,
        pytest.approx(1.96 * raw.std(), rel=0.2),
    )


def test_rank_correlations_are_of_each_row_and_missing_where_a_value_is():
    one = np.array([[1.0, 2.0, 9.0], [1.0, 2.0, 9.0], [np.nan, 1.0, 2.0]])
    other = np.array([[0.1, 0.2, 0.3], [3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    assert rank_correlations(one, other).tolist() == pytest.approx([1.0, -1.0, np.nan], nan_ok=True)


def test_a_model_without_images_has_no_overlap_and_what_lacks_a_task_is_refused(tmp_path):
    alone = effects_file(tmp_path, "text_icl")
    assert overlap_table(mean_effects(alone, ["a", "b"], BOOTSTRAP), 2).empty
    with pytest.raises(UserError, match="no effect of a head under text_icl for c; run"):
        mean_effects(alone, ["a", "c"], BOOTSTRAP)
    with pytest.raises(UserError, match="no effect of a head under text_icl or image_icl"):
        mean_effects(alone.iloc[:0], ["a"], BOOTSTRAP)


def test_more_heads_than_there_are_are_refused_with_both_numbers(means):
    check_top(means, 4)
    with pytest.raises(UserError, match=r"the 5 .* a head that does not exist: the model has 4;"):
        check_top(means, 5)


@pytest.fixture
def item(tmp_path, root, means):
    """An item of two models, `sees` and the one without images, `reads`."""
    text_alone = {"text_icl": means["text_icl"]}
    for model, found in (("sees", means), ("reads", text_alone)):
        write_frame(tmp_path / model / "heads.csv", head_table(found, 2))
        write_frame(tmp_path / model / "overlap.csv", overlap_table(found, 2))

    def named(name: str, models: Sequence[str] = ("sees", "reads")) -> ShownItem:
        inputs = {
            file: [tmp_path / model / f"{file}.csv" for model in models]
            for file in ("heads", "overlap")
        }
        inputs["caption"] = [root / f"workflow/report/{name}.rst"]
        out, nothing = tmp_path / name, {"seeing": [], "templates": [], "language_models": []}
        return ShownItem([*models], ["a", "b"], inputs, name, experiment="x", out=out, **nothing)

    return named


def test_the_table_has_a_row_per_model_and_dashes_for_what_it_lacks(item):
    shown.render_table(item("table_heads"))
    out = item("table_heads").out
    table = json.loads(out.with_suffix(".json").read_text())
    sees, reads = ([cell["text"] for cell in row] for row in table["rows"])
    assert table["columns"][:6] == ["model", "heads", "top", "shared", "by chance", "p"]
    assert sees[:6] == ["sees", "4", "2", "1", "1.00", "0.833"]
    assert sees[6].startswith("0.63 [") and reads[1:7] == ["–"] * 6
    strongest = "(0, 1) +0.400, (1, 0) +0.150, (1, 1) +0.050, (0, 0) -0.100"
    assert (sees[7], reads[7], reads[8]) == (strongest, strongest, "–")
    assert sees[8].startswith("(0, 1) +0.200, (1, 1) +0.100, ")
    assert "sees: prompts with shuffled labels, over all tasks: text_icl 5, image_icl 5." in (
        out.with_suffix(".md").read_text()
    )
    data = read_frame(out.with_suffix(".csv"))
    assert data[data["model"] == "sees"]["p_value"].tolist() == pytest.approx([5 / 6] * 8)
    assert data.loc[data["model"] == "reads", "spearman"].isna().all()


def test_the_figure_draws_every_effect_and_outlines_the_chosen_heads(item):
    data = item("figure_heads").joined("heads")
    figure = shown.draw_heads(data, ["sees", "reads"])
    text, image, alone, absent = figure.axes[:4]
    for axis, name in ((text, "text_icl"), (image, "image_icl"), (alone, "text_icl")):
        (drawn,) = axis.images
        grid = np.reshape(EFFECTS[name], (2, 2))
        assert np.asarray(drawn.get_array()) == pytest.approx(grid, abs=1e-6)
    outlined = [patch.get_xy() for patch in image.patches]
    assert outlined == [(0.5, -0.5), (0.5, 0.5)]  # heads 1 of layers 0 and 1
    assert (len(absent.images), absent.texts[0].get_text()) == (0, "not measured")
    assert text.images[0].norm is image.images[0].norm
    below, above = text.get_ylim()
    assert below < above  # layer 0 is the lowest


def test_the_figures_files_have_its_data_and_caption(item):
    one = item("figure_heads", ["reads"])
    shown.render_figure(one)
    data = read_frame(one.out.with_suffix(".csv"))
    assert data["effect"].tolist() == pytest.approx(EFFECTS["text_icl"], abs=1e-6)
    assert data.loc[data["chosen"], "rank"].tolist() == [1, 2]
    assert "reads: prompts with shuffled labels, over all tasks: text_icl 5." in (
        one.out.with_suffix(".md").read_text()
    )
