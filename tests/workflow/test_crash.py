"""kill -9, a full disk, a read-only folder: nothing looks whole that is not, and runs go on."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from checkouts import Checkout
from safetensors.torch import save_file

pytestmark = pytest.mark.workflow
log = logging.getLogger(__name__)
RUNS, KILLS = 2, 8  # side by side, and kills of each
PREPARED = ("collect", "prepare")  # half of the run's time, and no part of the comparison
TARGETS = ("table_3", "table_8", "figure_8", "figure_11")
COMPARED = ("read", "average", "write", "score", "tables", "figures")
# What the targets above are made from, of all scores.
SCORES = ("accuracy.csv", "by_layer.csv", "curves.csv", "layer.json", "samples.csv")
WATCHED = ("curate", *COMPARED)
# After how many changes in the results a run is killed. A job with several outputs makes over five,
# so that the large ones let the work go on, and the small ones come again and again.
CHANGES = (1, 2, 3, 5, 8, 13, 21)


def files_of(folder: Path, stages: tuple[str, ...] = COMPARED) -> dict[str, bytes]:
    """What is below some stages, by relative path; of figures their data and captions.

    What begins with a dot is not finished, and nobody takes it for whole.
    """
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for stage in stages
        for path in sorted((folder / stage).rglob("*"))
        if path.is_file()
        and not any(name.startswith(".") for name in path.relative_to(folder).parts)
        and path.suffix not in (".pdf", ".png")
    }


def copied(tiny_run: Checkout, folder: Path) -> Checkout:
    """A copy of the run with its images and models only; these are the same files on disk."""
    kept = {
        "results/tiny": {*PREPARED, "records", "run_config.yaml"},
        "results/tiny/records": set(PREPARED),
        ".snakemake": {"metadata"},
    }

    def ignored(place: str, names: list[str]) -> set[str]:
        below = Path(place).relative_to(tiny_run.folder).as_posix()
        return set(names) - kept.get(below, set(names))

    def link_or_copy(source: str, target: str) -> None:
        linked = any(f"/results/tiny/{stage}/" in source for stage in PREPARED)
        (os.link if linked else shutil.copy2)(source, target)

    shutil.copytree(tiny_run.folder, folder, ignore=ignored, copy_function=link_or_copy)
    return Checkout(folder)


@pytest.fixture
def started(tiny_run, tmp_path) -> Checkout:
    return copied(tiny_run, tmp_path / "run")


def names_below(results: Path) -> frozenset[str]:
    """All files of the stages that are run here and of their records, half written ones too."""
    folders = [results / part / stage for part in ("", "records") for stage in WATCHED]
    # os.walk passes over a folder that is renamed or removed while it looks; Path.rglob raises.
    return frozenset(
        str(Path(place, name))
        for folder in folders
        for place, below, files in os.walk(folder)
        for name in (*below, *files)
    )


def start(checkout: Checkout, *arguments: str) -> subprocess.Popen[bytes]:
    """Start Snakemake on the cut-down experiment in a process group of its own, for killing."""
    command = [sys.executable, "-m", "snakemake", "--cores", "1", *arguments]
    return subprocess.Popen(
        [*command, "--configfile", "tests/workflow/tiny.yaml"],
        cwd=checkout.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def kill_after(checkout: Checkout, changes: int) -> bool:
    """Start the workflow, and kill its process group once files came or went ``changes`` times.

    Returns whether it was killed; False where it finished before.
    """
    process = start(checkout, "--nolock", *TARGETS)
    seen, last = 0, names_below(checkout.results)
    while process.poll() is None and seen < changes:
        time.sleep(0.03)
        now = names_below(checkout.results)
        seen, last = seen + (now != last), now
    if process.poll() is not None:
        assert process.returncode == 0, "the run failed by itself; see .snakemake/log"
        return False
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return True


def kill_and_go_on(checkout: Checkout, undisturbed: dict[str, bytes], seed: int) -> None:
    """Kill a run at seeded moments, looking each time at what is there, and let it finish."""
    rng = random.Random(seed)
    kills = 0
    while kills < KILLS:
        if kill_after(checkout, rng.choice(CHANGES)):
            kills += 1
            log.info("kill %d, %d files are there", kills, len(files_of(checkout.results)))
        else:  # it was through: the rest of the kills come while the tables are made again
            for stage in ("score", "tables", "figures"):
                shutil.rmtree(checkout.results / stage)
        for name, data in files_of(checkout.results).items():
            assert data == undisturbed[name], f"{name} after {kills} kills"
    done = checkout.tiny("--nolock", *TARGETS)
    assert done.returncode == 0, done.stdout[-3000:]


def test_kills_leave_no_half_file_and_the_same_results(tiny_run, tmp_path):
    undisturbed = files_of(tiny_run.results)
    runs = [copied(tiny_run, tmp_path / str(number)) for number in range(RUNS)]
    with ThreadPoolExecutor(RUNS) as pool:
        list(pool.map(lambda n: kill_and_go_on(runs[n], undisturbed, seed=n), range(RUNS)))
    others = ("tables/", "figures/", "score/")
    needed = {
        name
        for name in undisturbed
        if not name.startswith(others) or Path(name).stem in TARGETS or Path(name).name in SCORES
    }
    for run in runs:
        finished = files_of(run.results)
        assert set(finished) == needed
        assert all(finished[name] == undisturbed[name] for name in finished)


def test_a_killed_runs_lock_is_removed_only_where_nobody_works(started):
    locks = started.folder / ".snakemake/locks"
    killed = start(started, "table_1")
    while not (locks.is_dir() and any(locks.iterdir())):
        assert killed.poll() is None
        time.sleep(0.05)
    while_it_runs = unlock(started.folder)
    assert while_it_runs.returncode == 1
    assert f"error: Snakemake (process {killed.pid}) works in this folder" in while_it_runs.stderr
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert any(locks.iterdir())
    assert unlock(started.folder).returncode == 0
    assert not list(locks.glob("*"))


def unlock(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `make run` does first."""
    return subprocess.run(
        [sys.executable, "-m", "taskvectors.unlock"],
        cwd=folder,
        text=True,
        capture_output=True,
        check=False,
    )


# -- a full disk, a read-only folder ------------------------------------------------------


@contextmanager
def mounted(place: Path, *arguments: str) -> Iterator[None]:
    """Mount something on ``place``; the test is skipped where that is not permitted."""
    place.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", *arguments, str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"mounting needs root and its rights ({done.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def averaged(checkout) -> subprocess.CompletedProcess[str]:
    """Run a recorded command that averages activations which are made up here."""
    source, out = "activations.safetensors", "results/tiny/average/vectors.safetensors"
    save_file({"instruction": torch.ones(1, 30, 576)}, checkout.folder / source)
    return subprocess.run(
        [
            *(sys.executable, "-m", "taskvectors.record", "--rule", "average", "--code", "0"),
            *("--inputs", source, "--outputs", out, "--"),
            *(sys.executable, "-m", "taskvectors.average", "--activations", source),
            *("--exemplars", "2", "--out", out),
        ],
        cwd=checkout.folder,
        text=True,
        capture_output=True,
        check=False,
    )


def test_a_full_disk_leaves_neither_output_nor_record(started):
    with mounted(started.results / "average", "-t", "tmpfs", "-o", "size=64k", "tmpfs"):
        done = averaged(started)
        assert done.returncode == 1
        assert "No space left on device" in done.stderr.splitlines()[-1]
        assert not list((started.results / "average").iterdir())
    assert not (started.results / "records/average").exists()


@pytest.mark.parametrize("read_only", ["average", "records"])
def test_a_read_only_folder_leaves_neither_output_nor_record(started, read_only):
    place = started.results / read_only
    place.mkdir(exist_ok=True)
    with mounted(place, "--bind", str(place)):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(place)], check=True)
        done = averaged(started)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr.splitlines()[-1]
    assert not (started.results / "average/vectors.safetensors").exists()
    assert not (started.results / "records/average").exists()
    assert not list(started.results.rglob("*.partial"))
