"""What is written for other tools, read back by those tools: Croissant's library, the hub's
`datasets` and card, safetensors alone."""

from __future__ import annotations

import json
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import DatasetCard
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors import safe_open

from reading import by_croissant
from taskvectors import publish
from taskvectors.base.files import sha256, write_json, write_jsonl, write_text
from taskvectors.base.frames import write_frame
from taskvectors.base.tensors import write_tensors
from taskvectors.curate import croissant
from taskvectors.study.datasets import SPLITS, Item, read_items
from taskvectors.study.entities import read_entities
from taskvectors.study.own_images import read_own_images

# Texts that a reader may take for something else.
LABELS = [
    *("007", "08", "1e5", "1.50", "1_000", "12345678901234567890", "0x1F", "-0", "+1", "٣"),
    *("NaN", "nan", "null", "None", "NA", "inf", "true", "no", "2020-01-01", "12:30"),
    *(
        " x ",
        "\t",
        " ",
        "é",
        "e\u0301",
        "日本",
        "a,b",
        'a "b"',
        "a\nb",
        "a\u2028b",
        "🐄",
        "\ufeffa",
    ),
]


def dataset(task: str, split: str, labels: list[str]) -> list[Item]:
    """Items with these labels; their entities look like numbers, and one has a text of its own."""
    rows = [Item(task, split, f"{n:03}", f"{n}.png", label) for n, label in enumerate(labels)]
    return [*rows[:-1], Item(task, split, "007", "é.png", labels[-1], "1e5")]


def described(folder: Path, sets: dict[tuple[str, str], list[Item]]) -> None:
    """Run curate's command on datasets in ``folder``."""
    paths = [folder / task / f"{split}.jsonl" for task, split in sets]
    for path, items in zip(paths, sets.values(), strict=True):
        write_jsonl(path, [item.as_row() for item in items])
    words = ["--name", "small", "--items", *map(str, paths)]
    words += ["--copies", str(folder / "items_parquet"), "--out", str(folder / "croissant.json")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["croissant", *words])
        croissant.main()


@pytest.fixture(scope="module")
def sets() -> dict[tuple[str, str], list[Item]]:
    """The datasets of two tasks: all labels at once, and those that look like numbers alone."""
    return {
        (task, split): dataset(task, split, labels)
        for task, labels in (("food-color", LABELS[:3]), ("animal-latin", LABELS))
        for split in SPLITS
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory, sets) -> Iterator[Path]:
    """A published folder, far from what it was made of."""
    made = tmp_path_factory.mktemp("made")
    described(made / "curate", sets)
    words = ["--experiment", "small", "--tasks", "resources/tasks.yaml", "--out"]
    words += [str(made / "publish"), "--models", str(made / "prepare/m")]
    write_json(made / "prepare/m/source.json", {"hub": "a/m", "revision": "abc"})
    vectors, sidecars = [], []
    for task in dict.fromkeys(task for task, _ in sets):
        vectors.append(made / f"average/{task}.safetensors")
        write_tensors(vectors[-1], {"text_icl/1": torch.full((3, 2), float(len(vectors)))})
        sidecars.append(made / f"read/{task}.json")
        about = {"model": "m", "template": "spaced", "task": task, "dtype": "float32"}
        write_json(sidecars[-1], {**about, "rows": {"validation": ["000"]}})
    header = "entity_set,entity,file,sha256,rendering,author,licence,licence_url,package,version"
    write_text(made / "manifest.csv", f"{header},path\n")
    write_text(made / "table_3.md", "| a |\n|---|\n")
    write_text(made / "ATTRIBUTION.html", "<html></html>")
    words += ["--vectors", *map(str, vectors), "--sidecars", *map(str, sidecars)]
    words += ["--manifests", str(made / "manifest.csv"), "--tables", str(made / "table_3.md")]
    words += ["--attribution", str(made / "ATTRIBUTION.html")]
    words += ["--croissant", str(made / "curate/croissant.json")]
    words += ["--copies", str(made / "curate/items_parquet")]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).parents[2])
        patch.setattr(sys, "argv", ["publish", *words])
        publish.main()
    moved = tmp_path_factory.mktemp("elsewhere") / "publish"
    (made / "publish").rename(moved)
    yield moved


def test_croissants_library_reads_every_published_record_as_it_was(folder, sets):
    assert by_croissant(folder / "croissant.json") == sets


def test_the_description_states_every_files_hash_and_columns(folder):
    said = json.loads((folder / "croissant.json").read_text())
    assert len(said["distribution"]) == len(said["recordSet"]) == 4
    for file in said["distribution"]:
        assert sha256(folder / file["contentUrl"]) == file["sha256"]
    for rows in said["recordSet"]:
        columns = [field["source"]["extract"]["column"] for field in rows["field"]]
        assert columns == ["task", "split", "entity", "image", "label", "text"]


def test_datasets_reads_every_configuration_by_name_and_all_tasks_without_one(
    folder, sets, tmp_path
):
    names = datasets.get_dataset_config_names(str(folder))
    assert names == ["all_tasks", "food-color", "animal-latin"]
    found = datasets.load_dataset(str(folder), cache_dir=str(tmp_path))
    assert set(found) == set(SPLITS)
    for split in SPLITS:
        items = sorted((Item(**row) for row in found[split]), key=repr)
        assert items == sorted(sets["food-color", split] + sets["animal-latin", split], key=repr)
    for task, split in sets:
        rows = datasets.load_dataset(str(folder), task, split=split, cache_dir=str(tmp_path))
        assert [Item(**row) for row in rows] == sets[task, split]


def test_the_hubs_card_class_reads_the_card(folder):
    said = DatasetCard.load(folder / "README.md").data.to_dict()
    assert [one["config_name"] for one in said["configs"]][1:] == ["food-color", "animal-latin"]
    assert (said["license"], said["license_link"]) == ("other", "ATTRIBUTION.html")
    assert (folder / said["license_link"]).is_file()


def test_the_cards_own_lines_open_a_vector_with_safetensors_alone(folder, monkeypatch):
    card = (folder / "README.md").read_text(encoding="utf-8")
    (lines,) = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert "taskvectors" not in lines
    monkeypatch.chdir(folder)
    found: dict = {}
    exec(lines, found)
    assert np.array_equal(found["vector"], np.full((3, 2), 1, np.float32))
    about = found["about"]
    assert (about["model"], about["revision"], about["site"]) == ("m", "abc", "exemplar")
    assert "| m | abc |" in card
    assert "row n is the residual stream after\nlayer n, counted from 0" in card
    assert "`exemplar` is the last exemplar's delimiter" in card
    for path in folder.rglob("*.safetensors"):
        with safe_open(path, framework="numpy") as file:
            assert file.metadata()["layer_axis"] == "0" and file.keys() == ["vector"]


@settings(max_examples=25)
@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), min_size=1, max_size=4))
def test_curates_description_reads_back_whatever_the_labels_are(labels):
    with tempfile.TemporaryDirectory() as name:
        kept = {("my-task", "test"): dataset("my-task", "test", labels)}
        described(Path(name), kept)
        assert by_croissant(Path(name, "croissant.json")) == kept
        assert read_items(Path(name, "my-task/test.jsonl")) == kept["my-task", "test"]


@pytest.mark.parametrize("label", LABELS)
def test_a_label_that_looks_like_something_else_reads_back_alone(label, tmp_path):
    kept = {("my-task", "test"): dataset("my-task", "test", [label])}
    described(tmp_path, kept)
    assert by_croissant(tmp_path / "croissant.json") == kept


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_folder_of_ones_own_images_is_the_same_to_imagefolder(kind, tmp_path):
    folder = tmp_path / "shapes"
    folder.mkdir()
    rows = []
    for number, entity in enumerate(("Zürich", "a, b", 'the "sea"')):
        Image.new("RGB", (4 + number, 3)).save(folder / f"{number}.png")
        rows.append({"file_name": f"{number}.png", "entity": entity, "home": f"at {entity}"})
    table = folder / f"metadata.{kind}"
    if kind == "csv":
        write_frame(table, pd.DataFrame(rows))
    else:
        write_jsonl(table, rows)
    found = datasets.load_dataset(
        "imagefolder", data_dir=str(folder), split="train", cache_dir=str(tmp_path / "cache")
    )
    ours = [
        (entity.name, entity.labels["home"], Image.open(image.path).size)
        for entity, image in zip(read_entities(table), read_own_images(table), strict=True)
    ]
    assert [(row["entity"], row["home"], row["image"].size) for row in found] == ours
