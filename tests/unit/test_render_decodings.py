"""The logit lens of Table 2 and Figures 3 and 4, computed again on a small made-up model."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from PIL import Image

from taskvectors.base.figures import DOTS_AN_INCH, save_figure
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.engine.lens import Lens
from taskvectors.render.decodings import table_2_data, table_2_printed
from taskvectors.render.evolution import draw_figure_3, draw_figure_4, slices
from taskvectors.render.item import ShownItem
from taskvectors.score.decode import (
    Sets,
    decode,
    decode_task,
    read_vocabulary,
    take_sets,
    word_ids,
)
from taskvectors.score.evolution import phase_means, top_shares
from taskvectors.study.layers import shown_layers
from taskvectors.study.tasks import read_tasks
from taskvectors.study.words import is_word, visible

LAYERS, WIDTH = 3, 4
VOCABULARY = [" ", ":", " city", "City", " Paris", "par", "NA", " (", "\n"]


@pytest.fixture
def lens() -> Lens:
    generator = torch.Generator().manual_seed(1)
    unembedding = torch.randn(len(VOCABULARY), WIDTH, generator=generator)
    return Lens("rms", 1e-6, torch.ones(WIDTH), torch.zeros(WIDTH), unembedding)


def activations(**rows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(2)
    shapes = {name.replace("__", "/"): count for name, count in rows.items()}
    return {
        name: torch.randn(count, LAYERS, WIDTH, generator=generator)
        for name, count in shapes.items()
    }


def probabilities(lens: Lens, hidden: torch.Tensor) -> torch.Tensor:
    """The lens, written again on purpose."""
    normed = hidden / (hidden.square().mean() + lens.epsilon).sqrt()
    exponentials = (lens.unembedding @ normed).exp()
    return exponentials / exponentials.sum()


def test_probabilities_sum_to_one_and_phases_are_their_sums(lens):
    hidden = activations(text_icl__test__1__query=3)["text_icl/test/1/query"]
    sets = Sets(hidden, (1, 1, 2))
    everything = list(range(len(VOCABULARY)))
    rows, tops = decode(lens, sets, {"task": [2, 3], "answer": everything})
    table = pd.DataFrame(rows).set_index(["seed", "layer", "phase"])
    assert table.loc[(1, 0, "answer"), "probability"] == pytest.approx(1)
    by_hand = [probabilities(lens, hidden[i, 1])[[2, 3]].sum().item() for i in (0, 1)]
    assert table.loc[(1, 1, "task"), "probability"] == pytest.approx(sum(by_hand) / 2)
    assert table.loc[(1, 1, "task"), "sets"] == 2
    seeds = (1, 1, 2)
    best = Counter((seeds[i], int(probabilities(lens, hidden[i, 2]).argmax())) for i in range(3))
    assert tops[2] == best


def test_sets_are_taken_in_turn_from_every_seed_up_to_the_limit():
    read = activations(
        text_icl__test__1__query=4, text_icl__test__2__query=2, text_icl__validation__1__query=9
    )
    taken = take_sets(read, "text_icl", most=5)
    assert taken.seeds == (1, 2, 1, 2, 1)
    assert torch.equal(taken.activations[3], read["text_icl/test/2/query"][1])
    assert torch.equal(taken.activations[4], read["text_icl/test/1/query"][2])
    assert take_sets(read, "image_icl") is None
    assert take_sets(read, "instruction") is None


def test_words_are_found_whatever_their_case_and_space_and_a_space_is_itself():
    assert word_ids(["city"], VOCABULARY) == [2, 3]
    assert word_ids([" ", ":"], VOCABULARY) == [0, 1]
    assert [is_word(text) for text in (" city", " (", " ", "A", "auf")] == [
        True,
        *[False] * 3,
        True,
    ]


def test_every_task_has_tokens_for_figure_3(root):
    for task in read_tasks(root / "resources/tasks.yaml").values():
        assert {"input", "task"} <= set(task.tokens)
        assert ":" in task.tokens["input"]


def test_tokens_survive_the_files_even_where_they_read_like_missing_values(lens, tmp_path):
    read = activations(text_icl__test__1__query=6, instruction=1)
    phases, tops = decode_task(lens, read, {"input": [0]}, VOCABULARY)
    assert set(phases["specification"]) == {"text_icl", "instruction"}
    tops.loc[0, "token"] = "NA"
    write_frame(tmp_path / "tops.csv", tops)
    again = read_frame(tmp_path / "tops.csv")
    assert again["token"].tolist() == tops["token"].tolist()
    assert tops.groupby(["specification", "layer"])["sets"].sum().unique().tolist() == [1, 6]


def test_a_missing_tokenizer_is_named(tmp_path):
    with pytest.raises(Exception, match=r"tokenizer\.json is missing"):
        read_vocabulary(tmp_path / "tokenizer.json")


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
    item = ShownItem(["m"], ["t"], inputs, "table_2", "tiny", [], tmp_path, [], [], 1)
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
    assert list(above.get_lines()[0].get_ydata()) == pytest.approx(expected)
    assert [text.get_text() for text in below.texts] == ["not taken"]


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
