"""Table 2 and Figures 3 and 4, from tables as `taskvectors.score.decode` writes them."""

from __future__ import annotations

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from taskvectors.base.figures import DOTS_AN_INCH, PHASE_COLOURS, save_figure
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render.decodings import table_2_data, table_2_printed
from taskvectors.render.evolution import draw_figure_3, draw_figure_4, slices
from taskvectors.render.item import ShownItem
from taskvectors.score.evolution import phase_means, top_shares
from taskvectors.study.layers import shown_layers
from taskvectors.study.words import is_word, visible

LAYERS = 3


def test_tokens_survive_the_files_even_where_they_read_like_missing_values(tmp_path):
    path = tmp_path / "tops.csv"
    path.write_text("specification,seed,token,sets\ntext_icl,1,NA,2\ninstruction,,nan,1\n")
    again = read_frame(path)
    assert again["token"].tolist() == ["NA", "nan"]
    assert again["seed"].isna().tolist() == [False, True]


def test_table_2_has_the_tokens_of_the_chosen_layer_and_marks_what_is_no_word(tmp_path):
    rows = [
        {"specification": specification, "layer": layer, "rank": rank, "token": text}
        | {"word": is_word(text), "probability": 1 / rank}
        for specification in ("text_icl", "ensemble")
        for layer, texts in ((0, [" Paris", " a"]), (1, [" city", " (", "NA", ""]))
        for rank, text in enumerate(texts, start=1)
    ]
    write_frame(tmp_path / "decodings.csv", pd.DataFrame(rows))
    (tmp_path / "layer.json").write_text('{"layer": 1}')
    inputs = {"decodings": [tmp_path / "decodings.csv"], "layer": [tmp_path / "layer.json"]}
    item = ShownItem(["m"], ["t"], inputs, "table_2", "tiny", [], tmp_path, [], [])
    data = table_2_data(item, ("text_icl", "image_icl"))
    assert data["token"].tolist() == [" city", " (", "NA", ""]
    assert set(data["specification"]) == {"text_icl"}
    printed = table_2_printed(data, ("text_icl", "image_icl")).iloc[0]
    assert printed["text_icl"] == "city, ◇(, NA, ◇(empty)"
    assert (printed["layer"], printed["image_icl"]) == ("1", "–")


def test_the_papers_table_2_is_whole(root):
    published = pd.read_csv(root / "resources/paper/table_2.csv", keep_default_na=False)
    assert published.groupby(["task", "specification"]).size().to_list() == [5] * 12
    capital = published[(published["task"] == "country-capital") & (published["rank"] == 1)]
    assert capital["token"].tolist() == ["headquarters", "headquarters"]


@pytest.mark.parametrize(
    ("token", "shown"),
    [
        (" city", "city"),
        (" ", "␣"),
        ("\n\n", "↵↵"),
        ("\xa0", "U+00A0"),
        ("市", "U+5E02"),
        ("", "(empty)"),
    ],
)
def test_tokens_are_shown_so_that_fonts_and_tex_have_them(token, shown):
    assert visible(token) == shown


def phases(model: str, specification: str) -> pd.DataFrame:
    rows = [
        {
            "model": model,
            "task": "t",
            "specification": specification,
            "seed": seed,
            "layer": layer,
            "phase": phase,
            "probability": 0.1 * layer + 0.1 * seed,
            "sets": seed,
        }
        for seed in (1, 3)
        for layer in range(LAYERS)
        for phase in ("input", "task", "answer")
    ]
    return pd.DataFrame(rows)


def test_figure_3_is_weighted_by_sets_and_draws_its_data_and_what_is_lacking():
    data = phase_means(phases("m", "text_icl")).assign(model="m")
    row = data[(data["layer"] == 2) & (data["phase"] == "task")].iloc[0]
    assert row["probability"] == pytest.approx((0.3 * 1 + 0.5 * 3) / 4)
    assert (row["sets"], row["least"], row["greatest"]) == (
        4,
        pytest.approx(0.3),
        pytest.approx(0.5),
    )
    figure = draw_figure_3(data, [("m", "text_icl"), ("m", "image_icl")], ["t"])
    above, below = figure.axes
    assert len(above.get_lines()) == 3
    expected = [(0.1 * layer + 0.1 + 3 * (0.1 * layer + 0.3)) / 4 for layer in range(LAYERS)]
    lines = {line.get_color(): line for line in above.get_lines()}
    assert list(lines[PHASE_COLOURS["input"]].get_ydata()) == pytest.approx(expected)
    # What lies at 0 is seen: the frame is apart from it, and no whole line covers a dashed one.
    assert above.get_ylim()[0] < -0.02 and above.get_ylim()[1] > 1.02
    assert above.get_lines()[0].get_color() == PHASE_COLOURS["answer"]
    assert [text.get_text() for text in below.texts] == ["not taken"]


@pytest.mark.parametrize("layers", [24, 32, 80])
def test_the_layers_of_figure_3_have_more_than_two_ticks_in_a_narrow_panel(layers):
    rows = phases("m", "text_icl")
    data = phase_means(rows.assign(layer=rows["layer"] * (layers // LAYERS))).assign(model="m")
    figure = draw_figure_3(data, [("m", "text_icl")], list("tuvwxy"))
    panel = figure.axes[0]
    figure.canvas.draw()
    low, high = panel.get_xlim()
    assert 3 <= len([tick for tick in panel.get_xticks() if low <= tick <= high]) <= 6


def test_figure_4_shows_shares_with_their_range_over_seeds_and_gathers_what_occurs_once():
    rows = [(1, 0, 1, " city", True, 4), (1, 0, 2, " (", False, 1), (2, 0, 1, " city", True, 1)]
    rows += [(2, 0, 2, " (", False, 2), (2, 0, 3, " a", False, 1), (2, 0, 4, " b", False, 1)]
    rows += [(1, 1, 1, " city", True, 5), (2, 1, 1, " city", True, 5)]
    tops = pd.DataFrame(rows, columns=["seed", "layer", "token_id", "token", "word", "sets"])
    data = top_shares(tops.assign(task="t", specification="text_icl")).assign(model="m")
    assert data["share"].tolist() == [0.5, 0.3, 0.1, 0.1, 1.0]
    assert data["least"].tolist() == [0.2, 0.2, 0.0, 0.0, 1.0]
    assert data["greatest"].tolist() == [0.8, 0.4, 0.2, 0.2, 1.0]
    found = slices(data[data["layer"] == 0])
    assert found["name"].tolist() == ["city", "(", "other"]
    assert found["count"].tolist() == [5, 3, 2]
    figure = draw_figure_4(data, [("m", "t", "text_icl"), ("m", "t", "image_icl")], 2)
    sizes = [wedge.theta1 - wedge.theta2 for wedge in figure.axes[0].patches]
    assert [abs(size) / 360 for size in sizes] == pytest.approx([0.5, 0.3, 0.2])
    written = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert "city 20–80%\n( 20–40%" in written[0]
    assert "city 100%" in written[1]
    assert "not taken" in figure.axes[2].texts[-1].get_text()
    (key,) = figure.legends
    said = {
        text.get_text(): patch for text, patch in zip(key.texts, key.get_patches(), strict=True)
    }
    assert list(said) == ["a word", "no word", "tokens of a single set each"]
    city, bracket, other = figure.axes[0].patches
    assert said["a word"].get_facecolor() == city.get_facecolor()
    assert said["tokens of a single set each"].get_hatch() == other.get_hatch()
    assert len(set(said["no word"].get_facecolor()[:3])) == 1  # a grey, as that of the bracket
    assert len(set(bracket.get_facecolor()[:3])) == 1


def test_a_figure_of_several_pages_is_a_pdf_of_pages_and_one_tall_image(tmp_path):
    pages = [plt.figure(figsize=(2, height)) for height in (1, 2)]
    for page in pages:
        page.add_subplot().plot([0, 1])
    save_figure(pages, tmp_path / "figure")
    pdf = (tmp_path / "figure.pdf").read_bytes()
    assert b"/Count 2" in pdf
    assert b"CreationDate" not in pdf
    with Image.open(tmp_path / "figure.png") as image:
        assert 2.5 * DOTS_AN_INCH < image.height < 3.2 * DOTS_AN_INCH


def test_shown_layers_are_spread_from_first_to_last():
    assert shown_layers(range(30), 8) == [0, 4, 8, 12, 17, 21, 25, 29]
    assert shown_layers(range(3), 8) == [0, 1, 2]
