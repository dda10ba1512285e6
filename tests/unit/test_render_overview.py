"""Tables 1 and 5 show what is on disk."""

from __future__ import annotations

import json

import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from taskvectors.base.errors import UserError
from taskvectors.render.overview import (
    count_parameters,
    table_1_data,
    table_1_page,
    table_1_printed,
)
from taskvectors.render.printed import write_table
from taskvectors.study.tasks import read_tasks


@pytest.fixture
def results(tmp_path):
    image = tmp_path / "collect/twemoji/images/goat.png"
    image.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8), "red").save(image)
    for task, labels in (("animal-latin", ("Capra hircus",)), ("animal-young", ("kid", "calf"))):
        rows = [
            {
                "task": task,
                "split": "validation",
                "entity": f"Goat {number}",
                "image": str(image),
                "label": label,
            }
            for number, label in enumerate(labels)
        ]
        path = tmp_path / "curate" / task / "validation.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


@pytest.fixture
def table(results, root):
    tasks = read_tasks(root / "resources/tasks.yaml")
    names = ("animal-latin", "animal-young")
    examples = {name: results / "curate" / name / "validation.jsonl" for name in names}
    return table_1_data(tasks, examples)


def test_table_1_shows_another_item_for_each_task(table, root):
    assert table["entity"].tolist() == ["Goat 0", "Goat 1"]
    assert table["label"].tolist() == ["Capra hircus", "calf"]
    assert table["instruction"].iloc[1] == "The term for the baby of the animal:"


def test_table_1_shows_the_images(table, results):
    stem = results / "tables/table_1"
    printed = table_1_printed(table)
    write_table(table, printed, "A & B", stem)
    shown = stem.with_suffix(".md").read_text()
    assert '<img src="../collect/twemoji/images/goat.png" alt="Goat 0" height="40"> : Cap' in shown
    page = table_1_page(printed, "A & B")
    assert page.count('src="data:image/png;base64,') == 2
    assert "http:" not in page and "https:" not in page
    assert "A &amp; B" in page
    assert stem.with_suffix(".tex").read_text().count("\\includegraphics") == 2


def test_parameters_are_counted_in_every_file_of_a_checkpoint(tmp_path):
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, tmp_path / "one.safetensors")
    save_file({"c": torch.zeros(2, 2, 2)}, tmp_path / "two.safetensors")
    assert count_parameters(tmp_path) == 12 + 5 + 8


def test_a_folder_without_weights_is_named(tmp_path):
    with pytest.raises(UserError, match="has no safetensors file"):
        count_parameters(tmp_path)


def test_the_papers_table_5_is_whole(root):
    published = pd.read_csv(root / "resources/paper/table_5.csv").set_index("model")
    assert published["layers"].to_dict() == {"llava-v1.5": 32, "mantis-fuyu": 36, "idefics2": 32}
    assert published["parameters"].to_dict() == {"llava-v1.5": 7, "mantis-fuyu": 8, "idefics2": 8}
