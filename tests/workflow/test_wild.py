"""The experiment `wild`: descriptions stand in text prompts in place of names."""

from __future__ import annotations

import pytest

from taskvectors.base.files import read_jsonl
from taskvectors.study.datasets import read_items
from taskvectors.study.descriptions import read_descriptions

pytestmark = pytest.mark.workflow


def test_items_are_asked_by_their_descriptions_and_the_table_is_planned(checkout):
    wild = ("--config", "experiment=wild")
    done = checkout.snakemake("results/wild/curate/food-color/test.jsonl", *wild)
    assert done.returncode == 0, done.stdout[-3000:]
    folder = checkout.folder / "results/wild/curate/food-color"
    texts = read_descriptions(checkout.folder / "resources/qualitative/descriptions.yaml")["foods"]
    items = read_items(folder / "test.jsonl")
    assert len(items) == 20
    assert all(item.said == texts[item.entity] for item in items)
    decisions = [row["decision"] for row in read_jsonl(folder / "decisions.jsonl")]
    assert decisions.count("kept: test") + decisions.count("kept: validation") == 32
    planned = checkout.snakemake("table_wild", "-n", *wild)
    assert planned.returncode == 0, planned.stdout[-3000:]
    assert "rule render_table_wild:" in planned.stdout


def test_the_papers_tasks_in_the_wild_are_refused_until_their_folders_are_made(checkout):
    done = checkout.snakemake("-n", "--config", "experiment=paper_wild")
    assert done.returncode != 0
    assert "my/wild-foods is no folder; put your images there, and their table." in done.stdout
    assert "Traceback" not in done.stdout
