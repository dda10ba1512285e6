"""Outputs that Snakemake knows nothing of, or something old: they are held to their own records."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from checkouts import Checkout, copy_of_the_workflow
from test_staleness import edited, planned

from taskvectors.base.files import read_json, write_json
from taskvectors.record.provenance import record_path

pytestmark = pytest.mark.workflow
TASK = "food-color"
DATASET = f"results/tiny/curate/{TASK}/test.jsonl"
CURATED = {("curate", TASK)}


def is_curating(process: psutil.Process) -> bool:
    try:
        return "--rule curate" in " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return False


@pytest.fixture(scope="module")
def crashed(second_checkout) -> Iterator[Checkout]:
    """A run whose Snakemake was killed with -9 while a job ran, which then ended by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(second_checkout.folder / "workflow"))
        running = subprocess.Popen(
            [
                *(sys.executable, "-m", "snakemake", "--cores", "1", DATASET),
                *("--configfile", "tests/workflow/tiny.yaml"),
            ],
            cwd=second_checkout.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        jobs: list[psutil.Process] = []
        while not jobs:
            assert running.poll() is None
            below = psutil.Process(running.pid).children(recursive=True)
            jobs = [process for process in below if is_curating(process)]
            time.sleep(0.02)
        running.kill()
        running.wait()
        psutil.wait_procs(jobs, 60)
        assert (second_checkout.folder / record_path(DATASET)).is_file()
        # As the Snakemake of a cluster's node does when its job ends.
        shutil.rmtree(second_checkout.folder / ".snakemake/incomplete")
        assert second_checkout.tiny("--unlock").returncode == 0
        yield second_checkout


def test_what_a_job_finished_after_the_crash_is_kept(crashed):
    assert planned(crashed, DATASET) == set()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("resources/entities/foods.csv", ",red,", ",orange,"),
        ("resources/tasks.yaml", "label: color", "label: flavor"),
        ("tests/workflow/tiny.yaml", "exemplars: 2", "exemplars: 3"),
        ("workflow/taskvectors/curate/draws.py", "import", "FIRST = 1\nimport"),
        ("resources/entities/dropped.csv", "\n", "\n\n"),
    ],
    ids=["label", "instruction's task", "parameter", "module", "input"],
)
def test_what_changed_since_the_crash_is_planned(crashed, file, old, new):
    path = crashed.folder / file
    text, state = path.read_text(), path.stat()
    path.write_text(text.replace(old, new, 1))
    assert path.read_text() != text
    assert planned(crashed, DATASET) == CURATED
    path.write_text(text)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@contextmanager
def another(path: Path, **changes: object) -> Iterator[None]:
    """A record with other values, or none."""
    kept = read_json(path)
    if changes:
        write_json(path, {**kept, **changes})
    else:
        path.unlink()
    yield
    write_json(path, kept)


def test_an_output_without_its_record_is_planned(crashed):
    for name in ("test", "exemplars"):
        with another(crashed.folder / record_path(DATASET.replace("test", name))):
            assert planned(crashed, DATASET) == CURATED


def test_an_input_that_was_made_anew_meanwhile_is_another(crashed):
    manifest = crashed.folder / record_path("results/tiny/collect/twemoji/foods/manifest.csv")
    output = {**read_json(manifest)["output"], "sha256": "0" * 64}
    with another(manifest, output=output):
        assert planned(crashed, DATASET) == CURATED


def test_metadata_of_an_earlier_run_do_not_count(crashed):
    """Made, made again with another seed while Snakemake died, and asked for as at first."""
    done = crashed.tiny("--force", DATASET)
    assert done.returncode == 0, done.stdout[-3000:]
    assert planned(crashed, DATASET) == set()
    metadata = crashed.folder / ".snakemake/metadata"
    kept = metadata.with_name("kept")
    shutil.copytree(metadata, kept)
    other = crashed.tiny(DATASET, "--config", "split_seed=5")
    assert other.returncode == 0, other.stdout[-3000:]
    shutil.rmtree(metadata)
    kept.rename(metadata)
    assert planned(crashed, DATASET) == CURATED
    assert planned(crashed, DATASET, "--config", "split_seed=5") == set()


# -- the whole cut-down experiment -----------------------------------------------------------


@pytest.fixture(scope="module")
def forgotten(tiny_run, tmp_path_factory) -> Iterator[Checkout]:
    """A copy of the finished experiment of which Snakemake knows nothing."""
    folder = tmp_path_factory.mktemp("forgotten") / "copy"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("results", ".snakemake"))
    shutil.copytree(tiny_run.folder / "results", folder / "results", copy_function=shutil.copy2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "workflow"))
        yield replace(tiny_run, folder=folder)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("resources/tasks.yaml", 'instruction: "The color of the food:"', 'instruction: "Color:"'),
        ("tests/workflow/tiny.yaml", "resamples: 200", "resamples: 300"),
        ("workflow/taskvectors/average.py", "order[:count]", "order[-count:]"),
    ],
    ids=["instruction", "parameter", "module"],
)
def test_without_any_metadata_the_same_is_planned_as_with_all(
    tiny_run, forgotten, tmp_path, file, old, new
):
    folder = tmp_path / "undisturbed"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("results"))
    shutil.copytree(tiny_run.folder / "results", folder / "results", copy_function=os.link)
    undisturbed = replace(tiny_run, folder=folder)
    assert planned(forgotten) == set()
    with edited(forgotten, file, old, new):
        found = planned(forgotten)
    with pytest.MonkeyPatch.context() as patch, edited(undisturbed, file, old, new):
        patch.setenv("PYTHONPATH", str(folder / "workflow"))
        assert found == planned(undisturbed)
    assert found


def test_a_rule_of_ones_own_without_records_is_planned_by_snakemake(tmp_path):
    made = copy_of_the_workflow(tmp_path / "workflow")
    with (made.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(
            '\n\nrule own:\n    output: "own.txt"\n'
            '    shell: "echo {resources.mem_mb} > {output}"\n'
        )
    assert made.tiny("own.txt", "--default-resources", "mem_mb=7").returncode == 0
    assert (made.folder / "own.txt").read_text() == "7\n"
    again = made.tiny("own.txt", "--dry-run", "--default-resources", "mem_mb=7")
    assert "Nothing to be done" in again.stdout
