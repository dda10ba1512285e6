"""Wrong input ends in one clear sentence, a non-zero exit and no half-written file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.workflow


def stage(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m taskvectors.<stage>`` in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, text=True, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("exemplar=5", "unknown key 'exemplar'; did you mean 'exemplars'?"),
        ("models=[gpt]", "unknown model 'gpt'"),
        ("tasks=[sky-color]", "unknown task 'sky-color'"),
        ("experiment=../elsewhere", "unknown experiment '../elsewhere'. Known are embedded, gap"),
        ("experiment=tranfser", "unknown experiment 'tranfser'; did you mean 'transfer'?"),
        ("models=[a", "--config has '[a', which is not valid YAML"),
    ],
)
def test_a_wrong_setting_stops_before_anything_is_planned(checkout, setting, sentence):
    done = checkout.snakemake("--dry-run", "--config", setting)
    assert done.returncode != 0
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout
    assert not (checkout.folder / "results").exists()


def test_a_key_that_stands_twice_in_config_yaml_is_refused(checkout):
    config = checkout.folder / "config.yaml"
    config.write_text(config.read_text() + "seeds: [4]\n")
    done = checkout.snakemake("--dry-run")
    assert done.returncode != 0
    assert "config.yaml is not valid YAML: the key 'seeds' stands twice" in done.stdout
    assert "Traceback" not in done.stdout


CONTACT = 'wikipedia={contact: "A B <a@example.org>"}'


def test_the_papers_experiment_resolves_and_plans_its_whole_grid(checkout):
    done = checkout.snakemake("--dry-run", "--config", "experiment=paper", CONTACT)
    assert done.returncode == 0, done.stdout[-3000:]
    counts = re.findall(r"^(\w+) +(\d+)$", done.stdout.split("Job stats:")[-1], re.MULTILINE)
    jobs = dict(counts)
    assert (jobs["write_test"], jobs["transfer_test"]) == ("18", "12")
    assert (jobs["read"], jobs["fetch_model"]) == ("30", "5")  # two language models are read too


def test_todays_experiment_plans_all_its_models_and_their_language_models(checkout):
    done = checkout.snakemake("--dry-run", "--config", "experiment=today", CONTACT)
    assert done.returncode == 0, done.stdout[-3000:]
    counts = re.findall(r"^(\w+) +(\d+)$", done.stdout.split("Job stats:")[-1], re.MULTILINE)
    jobs = dict(counts)
    assert (jobs["write_test"], jobs["transfer_test"]) == ("42", "24")
    assert (jobs["read"], jobs["fetch_model"]) == ("60", "10")


NOBODY = "error: the contact '' names nobody; Wikipedia asks who is collecting: set wikipedia."


@pytest.mark.parametrize("how", [("--dry-run",), ()])
def test_without_a_contact_a_dry_run_fails_with_the_runs_own_sentence(checkout, how):
    done = checkout.snakemake(*how, "--config", "experiment=paper")
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith(NOBODY)
    assert "Traceback" not in done.stdout and "Exception" not in done.stdout
    assert not (checkout.folder / "results").exists()
    # What needs no image of Wikipedia needs no contact.
    models = ("fetch_models", "--dry-run", "--quiet", "--config", "experiment=paper")
    assert not how or checkout.snakemake(*models).returncode == 0


def test_from_another_folder_the_configuration_is_said_to_be_missing(pristine, tmp_path):
    """As README says: commands run in the checkout's own folder."""
    done = pristine.snakemake("--dry-run", "--directory", str(tmp_path))
    assert done.returncode == 1
    assert "config.yaml" in done.stdout and "not present or accessible" in done.stdout
    assert "Traceback" not in done.stdout
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("item", "setting"),
    [
        ("table_4", "experiment=transfer"),
        ("table_6", "experiment=templates"),
        ("table_gap", "experiment=gap"),
        ("table_wild", "experiment=wild"),
        ("table_heads", "heads=true"),
        ("table_controls", "controls=true"),
    ],
)
def test_a_table_that_the_experiment_has_nothing_for_says_what_to_run(checkout, item, setting):
    done = checkout.snakemake(item, "--dry-run")
    assert done.returncode != 0
    last = done.stdout.splitlines()[-1]
    assert last.startswith(f"error: the experiment embedded: {item} ")
    assert f"run it with `--config {setting}`" in last
    assert "Traceback" not in done.stdout and "Exception" not in done.stdout


def test_a_wrong_label_is_named_and_leaves_no_dataset(checkout):
    table = checkout.folder / "resources/entities/foods.csv"
    table.write_text(table.read_text().replace(",red,", ", red,", 1))
    done = checkout.tiny("results/tiny/curate/food-color/test.jsonl")
    assert done.returncode != 0
    assert "foods.csv, row" in done.stdout
    assert "column color: ' red' has stray spaces" in done.stdout
    assert not list((checkout.results / "curate").rglob("*.jsonl"))


def test_too_few_items_for_a_split_say_what_to_lower(checkout):
    done = checkout.tiny(
        "results/tiny/curate/food-color/test.jsonl",
        "--config",
        "splits={foods: {validation: 30, test: 100}, countries: {validation: 4, test: 6}}",
    )
    assert done.returncode != 0
    assert (
        "35 entities have an image, but the splits need 30 validation and 100 test" in done.stdout
    )
    assert not list((checkout.results / "curate").rglob("*.jsonl"))


def test_a_corrupt_image_is_named_by_the_stage_that_reads_it(tiny_run, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not an image")
    items = tmp_path / "items.jsonl"
    row = '{"task": "t", "split": "test", "entity": "X", "image": "%s", "label": "y"}\n'
    items.write_text(row % bad)
    done = stage(
        tiny_run.folder,
        "taskvectors.write",
        *("--model", "results/tiny/prepare/embedded", "--name", "embedded", "--dtype", "float32"),
        *("--task", "t", "--templates", "resources/templates.yaml", "--template", "spaced"),
        *("--items", str(items), "--out", str(tmp_path / "out.parquet")),
        *("--vectors", "results/tiny/average/embedded/spaced/food-color/vectors.safetensors"),
        *("--layer", "results/tiny/score/embedded/spaced/layer.json"),
    )
    assert done.returncode == 1
    assert f"the image {bad} is corrupt" in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out.parquet").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_is_one_sentence(tiny_run):
    done = stage(
        tiny_run.folder,
        "taskvectors.average",
        *("--activations", "results/tiny/read/embedded/spaced/food-color/activations.safetensors"),
        *("--exemplars", "2", "--out", "/dev/full/vectors.safetensors"),
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in done.stderr
