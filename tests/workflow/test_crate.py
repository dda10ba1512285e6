"""The crate and the licence page of a real run, the crate held to the real validator."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import torch
from datasets import load_dataset
from huggingface_hub import DatasetCard
from rocrate.rocrate import ROCrate
from safetensors import safe_open

from reading import by_croissant
from taskvectors.api.vectors import open_vector
from taskvectors.base.tensors import read_tensors
from taskvectors.study.datasets import SPLITS, Item, read_items

pytestmark = pytest.mark.workflow
HERE = Path(__file__).resolve().parent
VALIDATOR = HERE.parents[1] / ".venv-validator/bin/python"
needs_validator = pytest.mark.skipif(
    not VALIDATOR.exists() and not os.environ.get("CI"),
    reason="roc-validator is missing; `make test` sets .venv-validator up",
)


@pytest.fixture(scope="module")
def crate(tiny_run) -> Path:
    """The results folder of the tiny run, made a crate."""
    done = tiny_run.tiny("crate", "publish")
    assert done.returncode == 0, done.stdout[-3000:]
    return tiny_run.results


def validated(crate: Path, report: Path) -> dict:
    """What roc-validator says of a crate."""
    subprocess.run(
        [VALIDATOR, HERE / "validate_crate.py", crate, report], check=False, capture_output=True
    )
    return json.loads(report.read_text(encoding="utf-8"))


@needs_validator
def test_the_validator_accepts_the_crate(crate, tmp_path):
    report = validated(crate, tmp_path / "report.json")
    assert report["passed"], report["issues"]


@needs_validator
def test_the_validator_refuses_a_crate_without_its_workflow(crate, tmp_path):
    metadata = (crate / "ro-crate-metadata.json").read_text(encoding="utf-8")
    graph = json.loads(metadata)
    root = next(entity for entity in graph["@graph"] if entity["@id"] == "./")
    del root["mainEntity"]
    broken = tmp_path / "broken"
    shutil.copytree(crate, broken, copy_function=os.link)
    (broken / "ro-crate-metadata.json").unlink()
    (broken / "ro-crate-metadata.json").write_text(json.dumps(graph))
    assert not validated(broken, tmp_path / "report.json")["passed"]


def test_the_crate_has_every_job_with_what_it_read_and_made(crate):
    graph = json.loads((crate / "ro-crate-metadata.json").read_text(encoding="utf-8"))["@graph"]
    entities = {entity["@id"]: entity for entity in graph}
    job = entities["#job/average/embedded/food-color/spaced"]
    assert job["object"] == {"@id": "read/embedded/spaced/food-color/activations.safetensors"}
    assert job["result"] == {"@id": "average/embedded/spaced/food-color/vectors.safetensors"}
    assert "taskvectors.average" in job["description"]
    made = {
        reference["@id"]
        for entity in graph
        if entity["@id"].startswith("#job/")
        for reference in (
            [entity["result"]] if isinstance(entity["result"], dict) else entity["result"]
        )
    }
    for name in ("tables/table_3.csv", "figures/figure_8.pdf", "curate/croissant.json"):
        assert name in made and (crate / name).is_file()
    twemoji = entities["collect/twemoji/foods/images/"]
    assert twemoji["license"] == {"@id": "https://creativecommons.org/licenses/by/4.0/"}
    assert entities["curate/croissant.json"]["conformsTo"]["@id"].endswith("croissant/1.0")
    assert "curate/items_parquet/" in entities
    assert (crate / "source/workflow/rules/read.smk").is_file()
    packages = [e for e in graph if e["@id"].startswith("https://pypi.org/project/torch/")]
    assert packages[0]["softwareVersion"]


def test_ro_crates_own_library_reads_the_crate_with_the_versions_it_states(crate):
    found = ROCrate(crate)
    assert found.version == "1.1"
    assert found.mainEntity.id == "source/Snakefile"
    profiles = {one["name"]: one["version"] for one in found.root_dataset["conformsTo"]}
    wfrun = ("Process Run Crate", "Workflow Run Crate", "Provenance Run Crate")
    assert profiles == {**dict.fromkeys(wfrun, "0.5"), "Workflow RO-Crate": "1.0"}
    assert all((crate / entity.id).exists() for entity in found.data_entities)


def test_the_licence_page_has_every_image_of_the_datasets(crate):
    page = (crate / "ATTRIBUTION.html").read_text(encoding="utf-8")
    manifests = (crate / "collect/twemoji").glob("*/manifest.csv")
    manifest = pd.concat(map(pd.read_csv, manifests)).set_index("entity")
    used = {
        item.entity
        for task in ("country-capital", "food-color")
        for split in ("validation", "test")
        for item in read_items(crate / "curate" / task / f"{split}.jsonl")
    }
    assert len(used) == 20
    for entity in used:
        row = manifest.loc[entity]
        assert f"<td>{entity}</td>\n<td>{row['author']}</td>" in page
        assert row["path"] in page
    assert page.count(">CC BY 4.0</a>") == 21  # the unused ones are one more line
    assert "apache-2.0" in page and "DejaVuSans" in page
    assert "<script" not in page and "<img" not in page


def test_what_is_published_opens_without_the_workflows_folders(crate):
    folder = crate / "publish"
    files = sorted(folder.rglob("*.safetensors"))
    # Three tasks; text and image ICL under two seeds, and the instruction.
    assert len(files) == 3 * (2 * 2 + 1)
    averaged = read_tensors(crate / "average/embedded/spaced/food-color/vectors.safetensors")
    vector = open_vector(folder / "vectors/embedded/spaced/food-color/image_icl-2.safetensors")
    assert torch.equal(vector.tensor, averaged["image_icl/2"])
    about = vector.about
    assert (about.task, about.seed, about.prompts) == ("food-color", 2, 4)
    assert about.licence == "CC BY 4.0"  # of Twemoji's drawings
    assert (folder / "tables/table_3.md").read_text() == (crate / "tables/table_3.md").read_text()


def test_what_is_published_and_curated_is_read_back_by_the_tools_of_its_formats(crate, tmp_path):
    folder = crate / "publish"
    sets = {
        (task, split): read_items(crate / f"curate/{task}/{split}.jsonl")
        for task in ("country-capital", "food-color", "food-flavor")
        for split in SPLITS
    }
    moved = shutil.copytree(folder, tmp_path / "publish")
    assert by_croissant(moved / "croissant.json") == sets
    assert by_croissant(crate / "curate/croissant.json") == sets
    assert DatasetCard.load(moved / "README.md").data.to_dict()["configs"][0]["default"]
    for task, split in sets:
        rows = load_dataset(str(moved), task, split=split, cache_dir=str(tmp_path / "cache"))
        assert [Item(**row) for row in rows] == sets[task, split]
    vectors = list(moved.rglob("*.safetensors"))
    for path in vectors:
        with safe_open(path, framework="numpy") as file:
            about = json.loads(file.metadata()["about"])
            assert file.get_tensor("vector").ndim == 2
        assert path.parent == moved / "vectors" / about["model"] / about["template"] / about["task"]
    assert not list((moved / "items_parquet").rglob(".*"))
