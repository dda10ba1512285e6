"""The site's page shows what the items' files say, as text."""

from __future__ import annotations

import pytest

from taskvectors.base.errors import UserError
from taskvectors.render.site.__main__ import (
    Cell,
    Shown,
    as_cell,
    read_markdown,
    title_of,
    write_site,
)
from taskvectors.study.items import ITEMS


def test_a_cell_with_a_bar_is_one_cell_and_a_broken_table_is_named(tmp_path):
    path = tmp_path / "item.md"
    path.write_text("A caption.\n\n| a | b |\n|:--|:--|\n| x \\| y | z |\n")
    assert read_markdown(path) == ("A caption.", [["a", "b"], ["x | y", "z"]])
    path.write_text("A caption.\n\n| a | b |\n|:--|:--|\n| x | y | z |\n")
    with pytest.raises(UserError, match=r"item\.md has lines of unequal length"):
        read_markdown(path)


def test_a_image_outside_the_results_is_refused(tmp_path):
    (tmp_path / "results/tables").mkdir(parents=True)
    (tmp_path / "secret.png").write_bytes(b"secret")
    cell = '<img src="../../secret.png" alt="x" height="40"> : y'
    with pytest.raises(UserError, match="is not in"):
        as_cell(cell, tmp_path / "results/tables", tmp_path / "results")


def test_markup_in_a_cell_a_value_or_a_caption_is_text_on_the_page(tmp_path):
    bad = "</td><script>alert(1)</script>'\""
    item = Shown("table_3", bad, bad, {"csv": "a.csv"}, ["model"], [[Cell(bad)]])
    item.values["model"] = [bad]
    write_site("x", [item], ["table_8"], ["t"], tmp_path / "index.html")
    page = (tmp_path / "index.html").read_text()
    assert page.count("<script") == 1
    assert "alert(1)</script" not in page
    assert "Not measured in this experiment" in page
    assert title_of("table_8") in page


def test_every_item_has_a_title_of_its_own():
    titles = [title_of(item) for item in ITEMS]
    assert len(set(titles)) == len(titles)
    assert all(0 < len(title) < 130 for title in titles)
