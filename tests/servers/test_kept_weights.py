"""Weights from a hub or a folder: kept by revision, gone on with after a kill, fetched once."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from model_hub.server import Hub, Repository, running_hub

from taskvectors.models.checkpoint import INDEX, folder_revision
from taskvectors.record.provenance import describe
from workflow.checkouts import Checkout, copy_of_the_workflow

COMMIT = "0123456789abcdef0123456789abcdef01234567"
SHARDS = [f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)]
NAMES = ["config.json", *SHARDS, INDEX]
OUT = "results/e/prepare/m"


@pytest.fixture
def folder(tmp_path) -> Path:
    """A checkpoint of three shards; that they are none that loads is no matter here."""
    place = tmp_path / "checkpoint"
    place.mkdir()
    (place / "config.json").write_text("{}")
    index = {"weight_map": {name: name for name in SHARDS}}
    (place / INDEX).write_text(json.dumps(index))
    for number, name in enumerate(SHARDS):
        (place / name).write_bytes(random.Random(number).randbytes(200_000))
    return place


@pytest.fixture
def hub(folder) -> Iterator[Hub]:
    with running_hub() as hub:
        hub.models["a/model"] = Repository(folder, COMMIT)
        yield hub


@pytest.fixture
def place(tmp_path) -> Path:
    """A root to run commands in."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def environment(hub: Hub, **more: str) -> dict[str, str]:
    return {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_TOKEN": "", **more}


def fetching(hub: Hub, place: Path, out: str = OUT, **more: str) -> subprocess.Popen[str]:
    command = "taskvectors.prepare.fetch", "--hub", "a/model", "--revision", COMMIT, "--out", out
    return subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=place,
        env=environment(hub, **more),
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def fetched(*arguments, **more) -> None:
    process = fetching(*arguments, **more)
    said = process.communicate()[1]
    assert process.returncode == 0, said


def killed_at(hub: Hub, place: Path, name: str) -> None:
    """Fetch, and kill -9 when a half of that file was sent; from then on the hub sends it whole."""
    hub.broken.add(name)
    process = fetching(hub, place)
    while hub.sent().count(name) < 2:  # what it is, and then its bytes
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.communicate()
    hub.broken.clear()
    hub.asked.clear()


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in NAMES}


def test_a_killed_download_goes_on_and_fetches_nothing_twice(hub, place, folder):
    killed_at(hub, place, SHARDS[2])
    assert not (place / OUT).exists()
    fetched(hub, place)
    assert set(hub.sent()) == {SHARDS[2], INDEX}
    assert contents(place / OUT) == contents(folder)
    assert json.loads((place / OUT / "source.json").read_text())["revision"] == COMMIT
    kept = place / "results/cache/models/a--model" / COMMIT
    assert sorted(path.name for path in kept.iterdir()) == NAMES  # nothing half is left


def test_what_is_whole_needs_no_network_even_if_killed_before_it_was_linked(hub, place, folder):
    killed_at(hub, place, SHARDS[2])
    fetched(hub, place)
    shutil.rmtree(place / OUT)
    hub.asked.clear()
    fetched(hub, place, HF_HUB_OFFLINE="1")
    fetched(hub, place, "results/other/prepare/m")
    assert hub.asked == []
    assert contents(place / "results/other/prepare/m") == contents(folder)


def test_a_missing_network_says_so_and_keeps_what_was_fetched(hub, place):
    killed_at(hub, place, SHARDS[1])
    process = fetching(hub, place, HF_HUB_OFFLINE="1")
    said = process.communicate()[1]
    assert process.returncode == 1
    assert said.splitlines()[-1].startswith(f"error: the weights of a/model at {COMMIT} cannot be")
    assert not (place / OUT).exists()
    fetched(hub, place)
    assert SHARDS[0] not in hub.sent()


@pytest.mark.parametrize("how", ["other bytes", "cut short", "gone"])
def test_a_damaged_kept_file_is_fetched_again_alone(hub, place, folder, how):
    fetched(hub, place)
    kept = place / "results/cache/models/a--model" / COMMIT / SHARDS[1]
    if how == "gone":
        kept.unlink()
    else:
        kept.write_bytes(bytes(200_000 if how == "other bytes" else 100))
    hub.asked.clear()
    fetched(hub, place)
    assert set(hub.sent()) == {SHARDS[1]}
    assert contents(place / OUT) == contents(folder)


def test_bytes_that_are_not_those_that_the_hub_lists_are_not_taken(hub, place, monkeypatch):
    monkeypatch.setattr("model_hub.server.hashlib.sha256", lambda data: FalseHash())
    process = fetching(hub, place)
    said = process.communicate()[1]
    assert process.returncode == 1
    assert f"{SHARDS[0]} of a/model at {COMMIT} is not what the hub lists" in said
    assert not (place / OUT).exists()


class FalseHash:
    """The hash of nothing."""

    def hexdigest(self) -> str:
        return "0" * 64


def test_a_cache_that_others_own_is_only_read(hub, place, folder):
    fetched(hub, place)
    shared = place.parent / "shared"
    (place / "results/cache/models").rename(shared)
    second = place.parent / "second"
    (second / "results/cache").mkdir(parents=True)
    (second / "results/cache/models").symlink_to(shared)
    before = {path: path.stat().st_mtime_ns for path in [shared, *shared.rglob("*")]}
    fetched(hub, second)
    assert {path: path.stat().st_mtime_ns for path in [shared, *shared.rglob("*")]} == before
    assert contents(second / OUT) == contents(folder)


def test_kept_weights_are_not_read_for_a_record(hub, place, folder, monkeypatch):
    fetched(hub, place)
    expected = describe(folder)["files"]
    monkeypatch.setattr("taskvectors.record.provenance.sha256", lambda path: f"read {path.name}")
    found = describe(place / OUT)["files"]
    assert {name: found[name]["sha256"] for name in NAMES} == {
        name: expected[name]["sha256"] for name in NAMES
    }
    shard = (place / OUT / SHARDS[0]).resolve()
    shard.write_bytes(bytes(200_000))
    assert describe(place / OUT)["files"][SHARDS[0]]["sha256"] == f"read {SHARDS[0]}"


# -- in the workflow ----------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path, folder) -> Checkout:
    """A workflow with a model of the hub and one of a folder."""
    made = copy_of_the_workflow(tmp_path / "workflow")
    models = made.folder / "resources/models.yaml"
    entry = {"dtype": "float32", "gpus": 0, "parameters": 1, "image_icl": False}
    entry |= {"text_model": "Llama", "paradigm": "text-only"}
    added = {
        "fetched": {"hub": "a/model", "revision": COMMIT, **entry},
        "copied": {"folder": str(folder), "revision": folder_revision(folder), **entry},
    }
    models.write_text(models.read_text() + yaml.safe_dump(added))
    return made


def test_changed_code_and_a_failing_run_lose_no_weights(hub, checkout, folder, monkeypatch):
    for name, value in environment(hub, PYTHONPATH=str(checkout.folder / "workflow")).items():
        monkeypatch.setenv(name, value)
    targets = [f"results/tiny/prepare/{model}" for model in ("fetched", "copied")]
    done = checkout.tiny(*targets)
    assert done.returncode == 0, done.stdout[-3000:]
    original = contents(folder)
    shutil.rmtree(folder)
    hub.models.clear()
    for module in ("prepare/fetch.py", "prepare/copy_folder.py", "base/files.py"):
        path = checkout.folder / "workflow/taskvectors" / module
        path.write_text(path.read_text() + "\nANOTHER = 1\n")
    planned = checkout.tiny("--dry-run", *targets)
    assert "Nothing to be done" in planned.stdout, planned.stdout[-3000:]
    forced = checkout.tiny("--force", *targets)
    assert forced.returncode == 0, forced.stdout[-3000:]
    assert all(contents(checkout.folder / target) == original for target in targets)
    verify = [sys.executable, "-m", "taskvectors.audit", "verify", "results/tiny"]
    verified = subprocess.run(
        verify, cwd=checkout.folder, text=True, capture_output=True, check=False
    )
    assert verified.returncode == 0, verified.stdout + verified.stderr


def test_what_an_older_version_left_in_an_output_is_kept(hub, checkout, folder, monkeypatch):
    """Of version 0.1.0: the files themselves, and the client's notes."""
    monkeypatch.setenv("PYTHONPATH", str(checkout.folder / "workflow"))
    out = checkout.folder / "results/tiny/prepare/copied"
    shutil.copytree(folder, out)
    (out / ".cache").mkdir()
    (out / ".cache/notes").touch()
    source = {"folder": str(folder), "revision": folder_revision(folder)}
    (out / "source.json").write_text(json.dumps(source))
    original = contents(folder)
    shutil.rmtree(folder)
    done = checkout.tiny("results/tiny/prepare/copied")
    assert done.returncode == 0, done.stdout[-3000:]
    assert contents(out) == original
    assert all((out / name).is_symlink() for name in NAMES)


# -- folders ------------------------------------------------------------------------------


def copying(place: Path, folder: Path, revision: str) -> subprocess.Popen[str]:
    words = ["--folder", str(folder), "--revision", revision, "--out", OUT]
    return subprocess.Popen(
        [sys.executable, "-m", "taskvectors.prepare.copy_folder", *words],
        cwd=place,
        text=True,
        stderr=subprocess.PIPE,
    )


def test_a_killed_copy_is_never_whole_and_goes_on(place, folder):
    revision = folder_revision(folder)
    kept = place / "results/cache/models/folders" / revision
    code = (
        "import shutil, sys, time\n"
        "copy = shutil.copy2\n"
        "def stuck(source, target):\n"
        f"    if source.name == {SHARDS[1]!r}:\n"
        "        target.write_bytes(source.read_bytes()[:100])\n"
        "        print(flush=True); time.sleep(600)\n"
        "    copy(source, target)\n"
        "shutil.copy2 = stuck\n"
        "from pathlib import Path\n"
        "from taskvectors.prepare.copy_folder import copy_folder\n"
        "copy_folder(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder), revision, OUT], cwd=place, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not (place / OUT).exists()
    first = (kept / SHARDS[0]).stat()
    again = copying(place, folder, revision)
    assert again.wait() == 0, again.communicate()[1]
    assert (kept / SHARDS[0]).stat().st_ino == first.st_ino  # not copied again
    assert sorted(path.name for path in kept.iterdir()) == NAMES
    assert contents(place / OUT) == contents(folder)


def test_another_checkpoint_in_the_folders_place_touches_nothing_that_is_kept(place, folder):
    revision, original = folder_revision(folder), contents(folder)
    assert copying(place, folder, revision).wait() == 0
    kept = place / "results/cache/models/folders" / revision
    (kept / SHARDS[2]).unlink()  # so that the folder is asked
    (folder / SHARDS[0]).write_bytes(b"trained on")
    refused = copying(place, folder, revision)
    assert "bring back the one that was pinned" in refused.communicate()[1]
    assert refused.returncode == 1
    assert (kept / SHARDS[0]).read_bytes() == original[SHARDS[0]]
    (folder / SHARDS[0]).write_bytes(original[SHARDS[0]])
    assert copying(place, folder, revision).wait() == 0
    assert contents(place / OUT) == original
