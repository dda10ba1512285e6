"""The site's page shows what the items' files say, as text."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from taskvectors.base.errors import UserError
from taskvectors.render.printed import PrintedCell, PrintedTable, read_printed, write_table
from taskvectors.render.site.__main__ import Section, page, title_of
from taskvectors.study.items import ITEMS


def test_a_table_is_read_as_it_was_printed_and_a_broken_one_is_named(tmp_path):
    image = tmp_path / "collect/goat.png"
    image.parent.mkdir()
    image.touch()
    cells = [["x | y", PrintedCell(": z", str(image), "Goat")]]
    printed = pd.DataFrame(cells, columns=["a", "b"])
    write_table(printed, printed, "A caption.", tmp_path / "tables/item")
    read = PrintedTable("A caption.", ["a", "b"], [[PrintedCell("x | y"), cells[0][1]]])
    path = tmp_path / "tables/item.json"
    assert read_printed(path, tmp_path) == read
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "columns": ["a"]}))
    with pytest.raises(UserError, match=r"item\.json has rows of unequal length"):
        read_printed(path, tmp_path)


def test_an_image_outside_the_results_is_refused(tmp_path):
    (tmp_path / "secret.png").write_bytes(b"secret")
    printed = pd.DataFrame([[PrintedCell(": y", str(tmp_path / "secret.png"), "x")]], columns=["a"])
    write_table(printed, printed, "c", tmp_path / "results/tables/item")
    with pytest.raises(UserError, match="is not in"):
        read_printed(tmp_path / "results/tables/item.json", tmp_path / "results")


def test_markup_in_a_cell_a_value_or_a_caption_is_text_on_the_page():
    bad = "</td><script>alert(1)</script>'\""
    values, rows = {"model": [bad]}, [[PrintedCell(bad)]]
    item = Section("table_3", bad, {"csv": "a.csv"}, values, ["model"], rows)
    shown = page("x", [item], {"table_8": "Of interest: x."}, ["t"])
    assert shown.count("<script") == 1
    assert "alert(1)</script" not in shown
    assert "Not measured in this experiment" in shown
    assert "</span> Of interest</li>" in shown


def test_every_item_has_a_title_of_its_own(root):
    titles = [title_of((root / f"workflow/report/{item}.rst").read_text()) for item in ITEMS]
    assert len(set(titles)) == len(titles)
    assert all(0 < len(title) < 130 for title in titles)
