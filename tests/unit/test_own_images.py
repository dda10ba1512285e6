"""Folders of one's own images: what is read of them, and what is refused, each thing by name."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from taskvectors.audit.labels import read_labels
from taskvectors.base.errors import UserError
from taskvectors.collect.folder import attribution, collect_folder
from taskvectors.study.config import resolve
from taskvectors.study.entities import digest, read_entities
from taskvectors.study.images import ImagePlan
from taskvectors.study.manifest import read_manifest
from taskvectors.study.own_images import own_tables, read_own_images
from taskvectors.study.rows import read_rows

RED, BLUE = (200, 30, 40), (30, 40, 200)
HEADER = "entity,home,file,author,licence,source\n"


def own_table(folder: Path, rows: str, header: str = HEADER) -> Path:
    """The table of a folder ``animals``."""
    table = folder / "animals/metadata.csv"
    table.parent.mkdir(exist_ok=True)
    table.write_text(header + rows, encoding="utf-8")
    return table


def halves(mode: str = "RGB", size: tuple[int, int] = (300, 200)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image.convert(mode)


def collected(table: Path, out: Path) -> np.ndarray:
    """The pixels of the one image that is collected, (height, 224, 4)."""
    (row,) = collect_folder(table, out).to_dict("records")
    image = Image.open(out / row["file"])
    assert (image.mode, image.size) == ("RGBA", (row["width"], row["height"]))
    return np.asarray(image).astype(int)


@pytest.mark.parametrize(
    ("file", "mode", "tolerance"),
    [
        ("a.png", "RGB", 2),
        ("a.png", "RGBA", 2),
        ("a.png", "P", 12),
        ("a.jpg", "RGB", 12),
        ("a.jpeg", "CMYK", 12),
        ("a.webp", "RGB", 30),
        ("a.tiff", "RGB", 2),
        ("a.tif", "CMYK", 2),
        ("a.gif", "P", 12),
        ("a.bmp", "RGB", 2),
    ],
)
def test_an_image_of_any_kind_keeps_its_colours(tmp_path, file, mode, tolerance):
    table = own_table(tmp_path, f"Cow,farm,{file},,,\n")
    halves(mode).save(table.parent / file)
    pixels = collected(table, tmp_path / "out")
    assert pixels.shape[:2] == (149, 224)
    for column, colour in ((20, RED), (200, BLUE)):
        assert np.abs(pixels[70, column, :3] - colour).max() <= tolerance
    assert (pixels[..., 3] == 255).all()


@pytest.mark.parametrize(("mode", "value", "shown"), [("L", 60, 60), ("I;16", 20_000, 78)])
def test_grey_is_grey_at_any_depth(tmp_path, mode, value, shown):
    table = own_table(tmp_path, "Cow,farm,a.png,,,\n")
    Image.fromarray(np.full((9, 9), value, np.uint8 if mode == "L" else np.uint16)).save(
        table.parent / "a.png"
    )
    assert (collected(table, tmp_path / "out")[..., :3] == shown).all()


def test_what_is_transparent_stays_so(tmp_path):
    table = own_table(tmp_path, "Cow,farm,a.png,,,\n")
    Image.new("LA", (40, 40), (90, 0)).save(table.parent / "a.png")
    assert (collected(table, tmp_path / "out")[..., 3] == 0).all()


def test_a_photograph_from_a_phone_stands_upright(tmp_path):
    table = own_table(tmp_path, "Cow,farm,a.jpg,,,\n")
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: what is left in the file is on top
    halves().save(table.parent / "a.jpg", exif=exif)
    pixels = collected(table, tmp_path / "out")
    assert pixels.shape[:2] == (336, 224)
    assert np.abs(pixels[20, 100, :3] - RED).max() <= 12
    assert np.abs(pixels[300, 100, :3] - BLUE).max() <= 12


def test_bad_files_are_named_one_by_one_and_nothing_is_written(tmp_path):
    rows = ("Cow,farm,a.png,,,", "Pig,farm,b.jpg,,,", "Goat,farm,c.png,,,", "Lion,farm,d.png,,,")
    table = own_table(tmp_path, "\n".join(rows) + "\n")
    halves().save(table.parent / "a.png")
    (table.parent / "b.jpg").write_bytes(b"no image")
    halves().save(table.parent / "c.png")
    (table.parent / "c.png").write_bytes((table.parent / "c.png").read_bytes()[:-60])
    halves(size=(5000, 10)).save(table.parent / "d.png")
    with pytest.raises(UserError) as caught:
        collect_folder(table, tmp_path / "out")
    said = str(caught.value).splitlines()
    assert said[0].endswith("metadata.csv: mend these images, or take their rows out:")
    assert [line.split(" is no")[0] for line in said[1:]] == [
        "  row 3: b.jpg",
        "  row 4: c.png",
        "  row 5: d.png",
    ]
    assert "5000 x 10, one side over 20 times the other" in said[3]
    assert not list((tmp_path / "out").rglob("*.*"))


def test_missing_files_and_places_outside_the_folder_are_named_one_by_one(tmp_path):
    rows = (
        *("Cow,farm,a.png,,,", "Pig,farm,../b.png,,,", f"Goat,farm,{tmp_path}/b.png,,,"),
        *("Lion,farm,none.png,,,", "cow,farm,a.png,,,", "Orca,ocean,,,,"),
    )
    table = own_table(tmp_path, "\n".join(rows) + "\n")
    for place in (table.parent / "a.png", tmp_path / "b.png"):
        halves().save(place)
    with pytest.raises(UserError) as caught:
        read_own_images(table)
    assert [line.strip() for line in str(caught.value).splitlines()[1:]] == [
        f"row 3: ../b.png lies outside {table.parent}",
        f"row 4: {tmp_path}/b.png lies outside {table.parent}",
        "row 5: none.png is missing",
        "row 6: 'cow' stands already in row 2",
    ]


def test_a_link_out_of_the_folder_is_outside_but_the_folder_may_be_one(tmp_path):
    table = own_table(tmp_path, "Cow,farm,a.png,,,\n")
    halves().save(tmp_path / "b.png")
    (table.parent / "a.png").symlink_to(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"a\.png lies outside"):
        read_own_images(table)
    (table.parent / "a.png").unlink()
    halves().save(table.parent / "a.png")
    (tmp_path / "linked").symlink_to(table.parent)
    assert len(read_own_images(tmp_path / "linked/metadata.csv")) == 1


@given(st.text(max_size=30))
def test_no_name_of_a_file_leads_out_of_the_folder(tmp_path_factory, file):
    folder = tmp_path_factory.getbasetemp()
    table = folder / "metadata.jsonl"
    table.write_text(json.dumps({"entity": "Cow", "file": f"../{file}"}) + "\n")
    with pytest.raises(UserError, match=r"lies outside|control character"):
        read_own_images(table)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_of_hugging_face_is_taken_as_it_is(tmp_path, kind):
    folder = tmp_path / "shapes"
    folder.mkdir()
    halves().save(folder / "0.png")
    row = {"file_name": "0.png", "entity": "Zürich", "sides": 4, "license": "CC0", "note": "a, b"}
    if kind == "csv":
        pd.DataFrame([row]).to_csv(folder / "metadata.csv", index=False)
    else:
        (folder / "metadata.jsonl").write_text(json.dumps(row, ensure_ascii=False) + "\n\n")
    table = own_tables(["shapes"], tmp_path)["shapes"]
    (entity,) = read_entities(tmp_path / table)
    assert (entity.entity_set, entity.name) == ("shapes", "Zürich")
    assert entity.labels == {"sides": "4", "note": "a, b"}
    (image,) = read_own_images(tmp_path / table)
    assert (image.file, image.licence, image.author) == ("0.png", "CC0", "")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ("name,file\nCow,a.png\n", r"column entity is missing; the header needs it\."),
        ("entity;file\nCow;a.png\n", r"columns are parted by ';'; save the table with commas"),
        ("entity,file,file_name\nCow,a,b\n", r"row 1: two columns file; keep one"),
        ("entity,home,file\nCow,,a.png\n", r"row 2, column home: the cell is empty; fill it"),
    ],
)
def test_a_wrong_table_is_refused_by_row_and_column(tmp_path, table, complaint):
    with pytest.raises(UserError, match=complaint):
        read_entities(own_table(tmp_path, table, header=""))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("{", r"row 1 is not JSON"),
        ("[1]", r"row 1 is no JSON object"),
        ('{"entity": ["a"], "file": "b"}', r"row 1, column entity: \['a'\] is no text or number"),
        ('{"entity": true, "file": "b"}', r"column entity: True is no text or number"),
        ('{"entity": "a", "legs": NaN}', r"row 1, column legs: NaN is no number in JSON; leave"),
        ('{"entity": "a", "legs": -Infinity}', r"column legs: -Infinity is no number in JSON"),
        ('{"entity": "a", "legs": 1e999}', r"column legs: 1e999 is no number in JSON"),
        ('{"entity": "a", "legs": 4.0}', r"column legs: 4\.0 is the whole number 4, .*write 4, or"),
        ('{"entity": 4.0, "legs": 4}', r"column entity: 4\.0 is the whole number 4"),
        ('{"entity": "a", "legs": 1E3}', r"column legs: 1E3 is the whole number 1000"),
        (f'{{"entity": "a", "n": {"9" * 5000}}}', r"row 1, column n: a number of 5000 characters"),
        (f'{{"entity": "a", "n": {"[" * 10**5}', r"row 1 is not JSON \(nested too deeply\)"),
        ('{"entity": "a", "n": 1, "n": 2}', r"row 1 is not JSON \(the key 'n' stands twice\)"),
        ('{"entity": "a", "n": "\\ud83d"}', r"row 1 is not JSON \(half of a character"),
        ('{"entity": "a", "": "b"}', r"row 1: a column has no name"),
        ('{"entity": "a", "file": "b", "mask_file_name": "c"}', r"row 1: column mask_file_name n"),
    ],
)
def test_a_wrong_line_of_json_is_refused(tmp_path, line, complaint):
    table = tmp_path / "metadata.jsonl"
    table.write_text(line + "\n")
    with pytest.raises(UserError, match=complaint):
        read_own_images(table)


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        *(("4", "4"), ("-4", "-4"), ("3.50", "3.50"), ("0.0000001", "0.0000001")),
        *(("12345678901234567890123", "12345678901234567890123"), ("null", ""), ('"4.0"', "4.0")),
        *(('"\\ud83d\\ude00"', "\U0001f600"), ('"NaN"', "NaN")),
    ],
)
def test_a_cell_of_json_is_the_number_as_it_is_written_or_the_text(tmp_path, written, cell):
    table = tmp_path / "metadata.jsonl"
    table.write_text(f'{{"entity": "a", "legs": {written}}}\n')
    _, (row,) = read_rows(table)
    assert row.cells["legs"] == cell


@pytest.mark.parametrize("column", ["mask_file_name", "file_names", "mask_file_names"])
def test_a_column_of_more_pictures_is_no_label(tmp_path, column):
    table = own_table(tmp_path, "Cow,a.png,b.png\n", header=f"entity,file,{column}\n")
    with pytest.raises(UserError, match=f"row 1: column {column} names pictures and is no label"):
        read_entities(table)


def test_a_place_that_cannot_be_opened_is_named_by_row(tmp_path):
    rows = ("Cow,a.png", f"Pig,{'x' * 300}.png", r"Goat,sub\c.png", "Lion,a.png/b.png")
    table = own_table(tmp_path, "\n".join(rows) + "\n", header="entity,file\n")
    (table.parent / "a.png").symlink_to("a.png")
    with pytest.raises(UserError) as caught:
        read_own_images(table)
    first, second, third, fourth = str(caught.value).splitlines()[1:]
    # From Python 3.13 on, links in a circle are simply missing.
    assert re.fullmatch(r"  row 2: a\.png (cannot be opened \(its links .*\)|is missing)", first)
    assert second == f"  row 3: {'x' * 300}.png cannot be opened (File name too long)"
    assert third == r"  row 4: sub\c.png is missing; write / between folders, not \ "[:-1]
    assert fourth.startswith("  row 5: a.png/b.png ")


def test_a_name_that_makes_too_long_a_file_name_is_refused(tmp_path):
    table = own_table(tmp_path, f"{'x' * 300},a.png\n", header="entity,file\n")
    halves().save(table.parent / "a.png")
    with pytest.raises(UserError, match=r"the name 'x+.*' is too long for a file's; shorten it"):
        read_own_images(table)


def test_a_table_from_a_spreadsheet_is_read_without_its_mark(tmp_path):
    table = own_table(tmp_path, "﻿entity,home,file\r\nCow,farm,\r\n\r\n", header="")
    assert [entity.name for entity in read_entities(table)] == ["Cow"]


def test_what_is_not_said_is_shown_as_missing(tmp_path):
    table = own_table(tmp_path, "Cow,farm,a.png,,,\nPig,farm,b.png,Ann,CC0,https://a.org\n")
    for name in ("a.png", "b.png"):
        halves().save(table.parent / name)
    manifest = collect_folder(table, tmp_path / "out")
    assert "author not stated, licence not stated" in attribution(table, manifest)
    assert "Of 1 the licence is not stated" in attribution(table, manifest)
    manifest.to_csv(tmp_path / "out/manifest.csv", index=False)
    cow, pig = read_manifest(tmp_path / "out/manifest.csv")
    assert (cow.author, cow.licence, cow.url) == ("", "", "")
    assert cow.origin == f"{table.parent}, author not stated, licence not stated"
    assert (pig.author, pig.licence, pig.url) == ("Ann", "CC0", "https://a.org")
    labels = read_labels(table, ["home"])
    assert {(one.source, one.method) for one in labels} == {("not stated", "not stated")}


@pytest.fixture
def repository(root, tmp_path) -> tuple[Path, dict]:
    """A repository with a task on animals of one's own, and its configuration."""
    shutil.copytree(root / "resources", tmp_path / "resources")
    task = {"entity_set": "animals", "label": "home", "instruction": "Its home:"}
    with (tmp_path / "resources/tasks.yaml").open("a") as tasks:
        yaml.safe_dump({"animal-home": task}, tasks)
    config = yaml.safe_load((root / "config.yaml").read_text())
    own_table(tmp_path, "".join(f"Cow {n},farm,a.png,,,\n" for n in range(9)))
    halves().save(tmp_path / "animals/a.png")
    sizes = {"validation": 3, "test": 4}
    own = {"tasks": ["animal-home"], "splits": {"animals": sizes}, "exemplars": 2}
    return tmp_path / "resources", {**config, **own, "own_images": ["animals"]}


def test_ones_own_table_has_the_labels_unless_resources_has_them(repository):
    resources, config = repository
    resolve(config, {}, resources)
    plan = ImagePlan(config, {"animals"}, resources)
    assert (plan.table("animals"), plan.rendering("animals")) == (
        "animals/metadata.csv",
        "folder",
    )
    assert plan.manifest("animals") == "results/embedded/collect/folder/animals/manifest.csv"
    assert plan.manifest("foods") == "results/embedded/collect/twemoji/foods/manifest.csv"
    assert plan.own_files("animals") == ["animals/a.png"] * 9
    shutil.copytree(resources.parent / "animals", resources.parent / "foods")
    rows = "entity,file\nBanana,a.png\n"
    (resources.parent / "foods/metadata.csv").write_text(rows)
    config |= {"tasks": ["food-color"], "own_images": ["foods"]}
    config["splits"] = {"foods": {"validation": 4, "test": 4}}
    resolve(config, {}, resources)
    assert ImagePlan(config, {"foods"}, resources).table("foods") == "resources/entities/foods.csv"
    (resources.parent / "foods/metadata.csv").write_text(rows.replace("Banana", "Bananna"))
    complaint = r"row 2: 'Bananna' is not in .*foods\.csv; did you mean 'Banana'\?"
    with pytest.raises(UserError, match=complaint):
        resolve(config, {}, resources)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"own_images": ["zoo"]}, r"zoo is no folder; put your images there"),
        ({"own_images": ["../animals"]}, r"own_images: \.\./animals is outside the repository"),
        ({"own_images": ["/etc"]}, r"own_images\.0: '/etc' does not match"),
        ({"own_images": ["animals", "x/animals"]}, r"have one name, and so one entity set"),
        ({"own_images": []}, r"animals\.csv is missing; an entity set needs its table there"),
        ({"tasks": ["food-color"]}, r"own_images: no task asks about 'animals'.*\(foods\)"),
        ({"learned_sets": ["birds"]}, r"learned_sets: 'birds' has no table; it needs .*birds\.csv"),
        (
            {"splits": {"animals": {"validation": 5, "test": 5}}},
            r"animals has 9 entities, fewer than the 10",
        ),
    ],
)
def test_a_wrong_folder_is_found_before_anything_is_planned(repository, change, complaint):
    resources, config = repository
    shutil.copytree(resources.parent / "animals", resources.parent / "x/animals")
    config["splits"] = {**config["splits"], "foods": {"validation": 4, "test": 4}}
    with pytest.raises(UserError, match=complaint):
        resolve({**config, **change}, {}, resources)


def test_more_images_than_a_command_can_name_are_too_many(repository):
    resources, config = repository
    own_table(resources.parent, "".join(f"Cow {n},farm,a.png,,,\n" for n in range(9000)))
    with pytest.raises(UserError, match=r"names 9000 images, more than .* keep about \d+ rows"):
        resolve(config, {}, resources)


def test_a_folder_with_two_tables_is_refused(tmp_path):
    table = own_table(tmp_path, "")
    table.with_suffix(".jsonl").write_text("")
    with pytest.raises(UserError, match=r"has both of metadata\.csv and metadata\.jsonl"):
        own_tables(["animals"], tmp_path)


@pytest.mark.parametrize("name", ["metadata.csv", "metadata.jsonl", "metadata.parquet"])
def test_a_table_in_a_folder_below_is_refused_by_name(tmp_path, name):
    folder = own_table(tmp_path, "").parent
    (folder / ".cache").mkdir()
    (folder / ".cache" / name).write_text("")  # nobody reads what is hidden
    assert own_tables(["animals"], tmp_path)
    (folder / "more/wild").mkdir(parents=True)
    (folder / "more/wild" / name).write_text("")
    with pytest.raises(UserError, match=rf"more/wild/{name} is a second table, whose rows .*csv"):
        own_tables(["animals"], tmp_path)


def test_the_collection_depends_on_all_of_the_table_but_labels(tmp_path):
    rows = "Cow,farm,a.png,Ann,CC0,\n"

    def hashes(text: str) -> tuple[str, str]:
        table = own_table(tmp_path, text)
        plan = ImagePlan({"own_images": ["animals"]}, {"animals"}, tmp_path / "resources")
        return plan.own_rows("animals"), digest(table, ["home"])

    plain = hashes(rows)
    changed = {what: hashes(rows.replace(what, "else")) for what in ("farm", "a.png", "Ann", "CC0")}
    assert {what for what, (own, _) in changed.items() if own != plain[0]} == {
        *("a.png", "Ann", "CC0")
    }
    assert {what for what, (_, labels) in changed.items() if labels != plain[1]} == {
        *("farm", "a.png")
    }
