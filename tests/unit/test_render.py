"""Tables show the scores they are given, beside the published numbers, and nothing else."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from taskvectors.render.layers import draw_figure_11
from taskvectors.render.printed import PrintedCell, latex
from taskvectors.render.tables import shown, table_3, table_8
from taskvectors.score.curves import curves
from taskvectors.study.tables import DEPENDENCE

TASKS = ["country-capital", "food-color"]


def scored(accuracy: dict[tuple[str, str], list[float]]) -> pd.DataFrame:
    """Scores with the given accuracies on the two tasks and their mean as average."""
    rows = []
    for (method, modality), values in accuracy.items():
        for task, value in zip([*TASKS, "average"], [*values, sum(values) / 2], strict=True):
            for metric, factor in (("paper", 1.0), ("strict", 0.5)):
                rows.append(
                    {
                        "method": method,
                        "query_modality": modality,
                        "metric": metric,
                        "task": task,
                        "accuracy": value * factor,
                        "low": value * factor - 0.05,
                        "high": value * factor + 0.05,
                        "interval": "items",
                        "items_low": value * factor - 0.05,
                        "items_high": value * factor + 0.05,
                        "constant": 0.3 * factor,
                        "excess": (value - 0.3) * factor,
                        "excess_low": (value - 0.35) * factor,
                        "excess_high": (value - 0.25) * factor,
                        **dict.fromkeys(DEPENDENCE, 0.5),
                    }
                )
    return pd.DataFrame(rows)


SCORES = {
    "embedded": scored(
        {
            ("random", "any"): [0.0, 0.2],
            ("constant", "any"): [0.25, 0.35],
            ("no_context", "image"): [0.0, 0.0],
            ("no_context", "text"): [0.5, 0.5],
            ("text_icl_xpatch", "image"): [0.2, 0.4],
            ("text_icl_patch", "text"): [0.3, 0.5],
        }
    )
}


def published(root, item: str) -> pd.DataFrame:
    return pd.read_csv(root / f"resources/paper/{item}.csv")


def test_table_3_has_our_rows_by_both_metrics_and_the_papers_as_published(root):
    table = table_3(SCORES, published(root, "table_3"), TASKS)
    assert table.columns[:4].tolist() == ["model", "method", "metric", "source"]
    ours = table[table["source"] == "ours"].set_index(["model", "method", "metric"])
    assert ours.loc[("embedded", "text_icl_xpatch", "paper"), "average"] == pytest.approx(0.3)
    assert ours.loc[("embedded", "text_icl_xpatch", "strict"), "average"] == pytest.approx(0.15)
    assert ours.loc[("-", "random", "paper"), "food-color"] == pytest.approx(0.2)
    assert ours.loc[("embedded", "no_context", "paper"), "average"] == 0.0
    paper = table[table["source"] == "paper"].set_index(["model", "method"])
    assert paper.loc[("idefics2", "text_icl_xpatch"), "country-capital"] == 0.61
    assert len(paper) == len(published(root, "table_3"))


def test_what_was_not_measured_is_missing_not_zero(root):
    table = table_3(SCORES, published(root, "table_3"), TASKS)
    absent = table[(table["source"] == "ours") & (table["method"] == "image_icl_base")]
    assert absent[[*TASKS, "average"]].isna().all().all()
    assert (shown(absent)["average"] == "–").all()


def test_table_8_names_the_papers_rows_by_our_methods(root):
    table = table_8(SCORES, published(root, "table_8"), TASKS)
    paper = table[table["source"] == "paper"].set_index(["model", "method", "query_modality"])
    assert paper.loc[("idefics2", "image_icl_xpatch", "text"), "average"] == 0.42
    assert paper.loc[("mantis-fuyu", "image_icl_patch", "image"), "food-color"] == 0.50
    ours = table[(table["source"] == "ours") & (table["metric"] == "paper")]
    ours = ours.set_index(["method", "query_modality"])
    assert ours.loc[("text_icl_patch", "text"), "average"] == pytest.approx(0.4)


def test_the_average_is_printed_with_its_interval(root):
    printed = shown(table_3(SCORES, published(root, "table_3"), TASKS))
    row = printed[(printed["method"] == "text_icl_xpatch") & (printed["metric"] == "paper")].iloc[0]
    assert row["average"] == PrintedCell("0.30 [0.25, 0.35]°", grey=True)
    assert row["country-capital"] == PrintedCell("0.20°", grey=True)
    assert row["food-color"] == "0.40"
    assert (row["constant"], row["interval"]) == ("0.30", "items")


def test_the_constant_beside_the_papers_rows_is_ours_and_says_so(root):
    table = table_3(SCORES, published(root, "table_3"), TASKS)
    printed = shown(table)
    assert set(printed.loc[table["source"] == "paper", "constant"]) == {"0.30 (ours)"}
    assert set(printed.loc[table["source"] == "paper", "interval"]) == {"–"}


def test_a_wider_interval_says_its_kind_and_has_the_one_over_items_beside():
    table = table_3(SCORES, pd.DataFrame(), TASKS)
    wide = table.assign(interval="items and seeds", items_low=0.1, items_high=0.2)
    assert shown(wide)["interval"].iloc[5] == "items and seeds; items [0.10, 0.20]"


def test_latex_is_balanced_escaped_and_has_a_cell_per_column(root):
    printed = shown(table_3(SCORES, published(root, "table_3"), TASKS))
    text = latex(printed, "95 % of x_y & z", "table_3")
    begun = re.findall(r"\\begin\{(\w+)\}", text)
    assert sorted(begun) == sorted(re.findall(r"\\end\{(\w+)\}", text))
    body = text[text.index("\\midrule") : text.index("\\bottomrule")]
    rows = [line for line in body.splitlines() if line.endswith("\\\\")]
    assert len(rows) == len(printed)
    assert all(len(re.findall(r"(?<!\\)&", row)) == printed.shape[1] - 1 for row in rows)
    assert r"95 \% of x\_y \& z" in text
    assert text.startswith("% needs \\usepackage{booktabs,xcolor}\n")
    assert r"\textcolor{gray}{0.20\textdegree{}}" in body
    assert not re.search(r"(?<!\\)_", body)


def test_figure_11_draws_exactly_its_data():
    columns = ["method", "query_modality", "task", "seed", "layer", "items", "metric", "accuracy"]
    rows = [
        ("text_icl_xpatch", "image", task, seed, layer, 9, "paper", 0.1 * layer + 0.02 * seed)
        for task in TASKS
        for seed in (1, 2)
        for layer in (0, 1, 2)
    ]
    base = [("text_icl_xbase", "image", task, 1, None, 9, "paper", 0.15) for task in TASKS]
    data = curves(pd.DataFrame(rows + base, columns=columns), TASKS).assign(model="m")
    patched = data[(data["task"] == "food-color") & (data["method"] == "text_icl_xpatch")]
    assert patched["accuracy"].tolist() == pytest.approx([0.03, 0.13, 0.23])
    assert patched["least"].tolist() == pytest.approx([0.02, 0.12, 0.22])
    figure = draw_figure_11(data, {"m": 1}, TASKS)
    assert [axis.get_title() for axis in figure.axes] == TASKS
    lines = figure.axes[1].get_lines()
    drawn = {line.get_label(): list(line.get_ydata()) for line in lines}
    assert any(ys == pytest.approx([0.03, 0.13, 0.23]) for ys in drawn.values())
    assert any(ys == pytest.approx([0.15, 0.15]) for ys in drawn.values())
    assert any(list(line.get_xdata()) == [1, 1] for line in lines)
    both = draw_figure_11(data, {"m": 1, "text only": 1}, TASKS)
    assert [text.get_text() for text in both.axes[3].texts] == ["not measured"]
