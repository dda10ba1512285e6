"""The qualitative grids show the answers of their cases and mark the right ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taskvectors.render.grid import MARK, Line, draw_grid
from taskvectors.render.grids import (
    GRIDS,
    answer_line,
    chosen_answers,
    examples_left,
    grid_data,
    grid_rows,
    right_for,
)


@pytest.fixture
def image(tmp_path) -> str:
    Image.new("RGB", (8, 6), "red").save(tmp_path / "p.png")
    return str(tmp_path / "p.png")


def answer(image: str, method: str, text: str, token: str, **about) -> dict:
    return {
        "kind": "transfer",
        "model": "m",
        "task": "country-capital",
        "entity": "Peru",
        "image": image,
        "label": "Lima",
        "method": method,
        "layer": None,
        "text": text,
        "token": token,
        "exemplars": [["Italy", "Rome"], ["Chad", "$N"]],
        "instruction": "The capital:",
        **about,
    }


@given(st.integers(1, 40), st.integers(1, 40))
def test_no_line_of_exemplars_begins_with_a_colon_or_a_dot(first, second):
    pairs = [["x" * first, "y" * second], ["a b", "c d"], ["z" * second, "w" * first]]
    cell, _ = examples_left({"task": "t", "exemplars": pairs, "image": "i", "label": "l"})
    lines = [line.text for line in cell.lines[1:]]
    assert not [line for line in lines if line[0] in ":·"]
    assert " ".join(lines) == " · ".join(f"{name} : {label}" for name, label in pairs)


def test_a_right_answer_is_marked_and_a_conflict_says_for_which_task(image):
    right = answer(image, "text_icl_xpatch", " Lima\nQ", " Lima")
    assert answer_line(right) == Line("text_icl_xpatch: Lima↵Q", bold=True)
    wrong = answer(image, "no_context", " Rome", " Rome")
    assert answer_line(wrong) == Line("no_context: Rome")
    conflict = {"kind": "conflict", "patched_label": "Sol"}
    patch = answer(image, "instruction_xpatch", " Sol", " Sol", **conflict)
    assert right_for(patch) == ["patch"]
    assert answer_line(patch) == Line("+ instruction_xpatch: Sol (patch)", bold=True)
    assert answer_line({**patch, "token": "", "text": ""}).text == "+ instruction_xpatch: (empty)"


def test_a_row_has_every_model_and_the_data_are_what_is_shown(image):
    grid = GRIDS["figure_5"]
    answers = [
        answer(image, "no_context", " Rome", " Rome"),
        answer(image, "text_icl_xpatch", " Lima", " Lima"),
        answer(image, "instruction_xpatch", " Lima", " Lima"),
        answer(image, "prompt", " Lima", " Lima", kind="conflict"),
    ]
    chosen = chosen_answers(answers, grid, ["country-capital"])
    (row,) = grid_rows(chosen, grid, ["m", "blind"])
    assert [line.text for line in row[0].lines] == [
        "country-capital",
        "Italy : Rome · Chad : $N",
    ]
    assert row[1].images == ((image, "→ Lima"),)
    assert [line.text for line in row[2].lines] == [
        "no_context: Rome",
        "text_icl_xbase: not asked",
        "text_icl_xpatch: Lima",
    ]
    assert {line.text.split(": ")[1] for line in row[3].lines} == {"not asked"}
    data = grid_data(chosen)
    assert data["method"].to_list() == ["no_context", "text_icl_xpatch"]
    assert data["right"].to_list() == ["", "prompt"]
    figure = draw_grid((*grid.headers, "m", "blind"), (2, 1, 2, 2), [row], grid.height)
    texts = [text.get_text() for text in figure.texts]
    shown = [line for cell in row for line in cell.lines]
    assert all((MARK + line.text if line.bold else line.text) in texts for line in shown)
    assert texts.count("→ Lima") == 1 and len(figure.axes) == 1


def test_a_figure_without_cases_says_so():
    figure = draw_grid(("a", "b"), (1, 1), [], 0.5)
    assert "nothing to show" in [text.get_text() for text in figure.texts]
