"""Texts of models and people in figures: never parsed as formulas, never lost in silence."""

from __future__ import annotations

import re

import matplotlib
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from taskvectors.base.figures import apply_style, missing_glyphs, save_figure
from taskvectors.render.drawn import write_figure
from taskvectors.render.evolution import draw_figure_4
from taskvectors.render.grid import GridCell, Line, draw_grid
from taskvectors.render.item import ShownItem
from taskvectors.render.printed import PrintedCell, latex, markdown_cell, write_table
from taskvectors.score.evolution import top_shares

HOSTILE = ["$$", "$x", "$x$", r"$\frac$", r"$\frac{1}$", r"\frac", r"$_{$", "_{", "$}{$", "$a^b^c$"]


def pie(token: str) -> Figure:
    tops = pd.DataFrame([(1, 0, 1, token, False, 4)])
    tops.columns = ["seed", "layer", "token_id", "token", "word", "sets"]
    data = top_shares(tops.assign(task="t", specification="text_icl")).assign(model="m")
    return draw_figure_4(data, [("m", "t", "text_icl")], 1)


def panel(text: str) -> Figure:
    """All that a panel can have: a title, labels, ticks, a legend and notes."""
    apply_style()
    figure, axis = plt.subplots()
    figure.suptitle(text)
    axis.plot([0, 1], label=text)
    axis.set(title=text, xlabel=text, ylabel=text)
    axis.set_xticks([0, 1], [text, text])
    axis.annotate(text, (0.5, 0.5))
    figure.legend(title=text)
    return figure


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_that_looks_like_a_formula_is_drawn_as_it_is(tmp_path, text):
    image = tmp_path / "a.png"
    Image.new("RGB", (8, 6), "red").save(image)
    row = [GridCell((Line(text), Line(text, bold=True))), GridCell(images=((str(image), text),))]
    figures = [pie(text), panel(text), draw_grid((text, text), (1, 1), [row], 1.0)]
    save_figure(figures, tmp_path / "figure")
    for figure in figures:
        drawn = [one for one in figure.findobj(Text) if text in one.get_text()]
        assert drawn and not any(one.get_parse_math() for one in drawn)
        assert not figure.findobj(lambda one: isinstance(one, Text) and one.get_usetex())
        plt.close(figure)


def test_ones_own_settings_of_matplotlib_change_no_figure():
    matplotlib.rcParams.update({"text.usetex": True, "axes.formatter.use_mathtext": True})
    apply_style()
    assert not matplotlib.rcParams["text.usetex"]
    assert not matplotlib.rcParams["axes.formatter.use_mathtext"]


@pytest.mark.filterwarnings("ignore:Glyph")
def test_characters_that_the_font_lacks_are_named_in_the_caption(tmp_path):
    caption = tmp_path / "caption.rst"
    caption.write_text("Shows it.")
    item = ShownItem(
        models=["m"],
        tasks=["t"],
        inputs={"caption": [caption]},
        name="figure_5",
        experiment="e",
        seeing=[],
        out=tmp_path / "figure_5",
        templates=[],
        language_models=[],
    )
    page = draw_grid(("a",), (2,), [[GridCell((Line("北京: Zürich ✓\n"), Line("\x07")))]], 1.0)
    assert missing_glyphs(page) == ["\x07", "京", "北"]
    write_figure(item, [page], pd.DataFrame({"entity": ["北京"]}), ["All of it."])
    said = item.out.with_suffix(".md").read_text(encoding="utf-8")
    assert said.endswith(
        "All of it. Boxes are characters that the figure's font lacks: 京 (U+4EAC), 北 (U+5317), "
        "U+0007.\n"
    )
    write_figure(item, [draw_grid(("a",), (2,), [], 1.0)], pd.DataFrame(), [])
    assert "Boxes" not in item.out.with_suffix(".md").read_text(encoding="utf-8")


def test_a_dollar_in_markdown_begins_no_formula(tmp_path):
    assert markdown_cell(PrintedCell("$x$ | $"), tmp_path) == r"\$x\$ \| \$"


MARKED = [
    "a|b",
    r"a\|b",
    "<b>",
    "&amp;",
    "*a*",
    "__init__",
    "_a_",
    "`a`",
    "~~a~~",
    "[a](b)",
    "a\nb",
]


@pytest.mark.parametrize("text", MARKED)
def test_marks_in_a_markdown_table_are_text(tmp_path, text):
    """Each character that means something has an odd number of backslashes before it."""
    table = pd.DataFrame({text: [text], "b": ["text_icl [0.12, 0.30]"]})
    write_table(table, table, "Shows it.", tmp_path / "table")
    rows = (tmp_path / "table.md").read_text().splitlines()[2:]
    assert len(rows) == 3
    assert rows[2].rstrip().endswith("| text_icl [0.12, 0.30] |")
    for row in (rows[0], rows[2]):
        _, cell, _, end = re.split(r"(?<!\\)(?:\\\\)*\|", row)
        assert end == ""
        unmarked = re.sub(r"\\(.)", "", cell)
        assert not re.search(r"[<&*`~\\|]|\b__|__\b|\b_|_\b|\]\(", unmarked)
        assert re.sub(r"\\(.)", r"\1", cell).strip() == text.replace("\n", " ")


def test_a_latex_row_may_begin_as_an_option_of_the_line_before_does():
    body = latex(pd.DataFrame({"a": ["[x]", "*", "<a|b>"], "b": ["c\nd", "", ""]}), "c", "n")
    assert "{}[x] & c d" in body
    assert r"{}* & " in body
    assert r"\textless{}a\textbar{}b\textgreater{}" in body
