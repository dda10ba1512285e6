"""Read and write jobs that were killed, torn or changed: what still holds is kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from taskvectors import write
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json, write_jsonl
from taskvectors.base.tensors import read_tensors
from taskvectors.curate.draws import exemplar_sets
from taskvectors.parts import SEAL
from taskvectors.read import __main__ as read
from taskvectors.study.datasets import ExemplarSet, Item

from .families import FAMILIES
from .tiny import LAYERS, WIDTH
from .vocabulary import WORDS

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Job:
    """One task of a tiny LLaVA, in a folder of its own."""

    folder: Path
    checkpoint: Path
    items: list[Item]
    sets: list[ExemplarSet]

    def common(self) -> list[str]:
        templates = ROOT / "resources/templates.yaml"
        return [
            *("--model", str(self.checkpoint), "--name", "tiny", "--dtype", "float32"),
            *("--templates", str(templates), "--template", "generic"),
        ]

    def save(self) -> None:
        """Write the task's dataset."""
        for split in ("validation", "test"):
            rows = [item.as_row() for item in self.items if item.split == split]
            write_jsonl(self.folder / f"{split}.jsonl", rows)
        write_jsonl(self.folder / "exemplars.jsonl", [asdict(drawn) for drawn in self.sets])

    def reading(self) -> list[str]:
        self.save()
        tasks = ROOT / "resources/tasks.yaml"
        return [
            *(*self.common(), "--tasks", str(tasks), "--task", "country-capital"),
            *("--specifications", "text_icl", "image_icl", "instruction"),
            *("--dataset", str(self.folder), "--out", str(self.folder / "read")),
        ]

    def writing(self, vectors: dict[str, torch.Tensor], layer: int | None) -> list[str]:
        self.save()
        save_file(vectors, self.folder / "vectors.safetensors")
        write_json(self.folder / "layer.json", {"layer": layer})
        return [
            *(*self.common(), "--task", "country-capital"),
            *("--items", str(self.folder / "test.jsonl")),
            *("--vectors", str(self.folder / "vectors.safetensors")),
            *("--out", str(self.folder / "write/test.parquet")),
            *([] if layer is None else ["--layer", str(self.folder / "layer.json")]),
        ]

    def parts(self, stage: str = "read/parts") -> dict[str, tuple[int, int]]:
        """Which file each finished part's seal is, and when it was made, by the folder's name."""
        seals = (self.folder / stage).glob(f"[!.]*/{SEAL}")
        states = {path.parent.name: path.stat() for path in seals}
        return {name: (state.st_ino, state.st_mtime_ns) for name, state in states.items()}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("llava")
    FAMILIES["llava"].save(folder)
    return folder


@pytest.fixture
def job(tmp_path, checkpoint, images) -> Job:
    items = [
        Item("country-capital", split, word, images[number % len(images)], word[::-1])
        for split, words in (("validation", WORDS[:5]), ("test", WORDS[5:]))
        for number, word in enumerate(words)
    ]
    return Job(tmp_path, checkpoint, items, exemplar_sets("capitals", items, [1, 2], 2))


@pytest.fixture
def run(monkeypatch) -> Callable[..., None]:
    """Run a command's ``main`` here, where torch is loaded already."""

    def run_main(command, arguments: list[str]) -> None:
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        command.main()

    return run_main


def made(job: Job, before: dict[str, tuple[int, int]], stage: str = "read/parts") -> set[str]:
    """Names, without their keys, of the parts that were made since ``before``."""
    now = job.parts(stage)
    return {name.rpartition("-")[0] for name in now if before.get(name) != now[name]}


def results(job: Job) -> dict[str, bytes]:
    """The declared outputs of reading, byte by byte."""
    return {path.name: path.read_bytes() for path in (job.folder / "read").glob("*.*")}


ALL = {f"{s}-{p}-{n}" for s in ("text_icl", "image_icl") for p in ("validation", "test")
       for n in (1, 2)} | {"no_context"}  # fmt: skip


def test_reading_that_was_killed_goes_on_and_ends_in_the_same_bytes(job, run):
    job.sets = exemplar_sets("capitals", job.items, range(1, 9), 2)
    arguments = job.reading()
    command = [sys.executable, "-m", "taskvectors.read", *arguments]
    # The last bits of a sum depend on how many threads share it.
    threads = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(command, env=threads, stderr=subprocess.DEVNULL)
    while len(job.parts()) < 4:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.002)
    process.kill()
    process.wait()
    kept = job.parts()
    assert 4 <= len(kept) < 33
    assert results(job) == {}
    run(read, arguments)
    assert {name: job.parts()[name] for name in kept} == kept
    went_on = results(job)
    for path in (job.folder / "read").rglob("*.*"):
        if path.is_file():
            path.unlink()
    run(read, arguments)
    assert not set(job.parts().values()) & set(kept.values())
    assert results(job) == went_on
    assert not list((job.folder / "read").rglob("*.partial"))


def test_an_added_seed_reads_that_seed_only_and_a_removed_one_nothing(job, run):
    run(read, job.reading())
    first, tensors = job.parts(), read_tensors(job.folder / "read/activations.safetensors")
    assert made(job, {}) == ALL
    job.sets = exemplar_sets("capitals", job.items, [1, 7, 2], 2)
    run(read, job.reading())
    added = {f"{s}-{p}-7" for s in ("text_icl", "image_icl") for p in ("validation", "test")}
    assert made(job, first) == added
    now = read_tensors(job.folder / "read/activations.safetensors")
    assert len(now) == len(tensors) + 6
    assert all(torch.equal(now[name], tensor) for name, tensor in tensors.items())
    job.sets = exemplar_sets("capitals", job.items, [2], 2)
    before = job.parts()
    run(read, job.reading())
    assert made(job, before) == set()
    assert set(job.parts()) < set(first)
    baselines = pd.read_parquet(job.folder / "read/baselines.parquet")
    assert set(baselines["seed"].dropna()) == {2}
    assert len(baselines) == 10 * 2 + 2 * 10 * 2


def test_what_a_part_depends_on_is_read_again_and_the_rest_is_kept(job, run):
    run(read, job.reading())
    before = job.parts()
    drawn = next(one for one in job.sets if (one.split, one.seed) == ("test", 2))
    place = job.sets.index(drawn)
    job.sets[place] = replace(drawn, exemplars=drawn.exemplars[::-1])
    run(read, job.reading())
    assert made(job, before) == {"text_icl-test-2", "image_icl-test-2"}
    before = job.parts()
    job.items[0] = replace(job.items[0], label="another")
    run(read, job.reading())
    assert made(job, before) == {name for name in ALL if "test" not in name}
    before = job.parts()
    config = job.checkpoint / "config.json"
    text = config.read_text()
    try:
        config.write_text(json.dumps({**json.loads(text), "note": "changed"}))
        run(read, job.reading())
    finally:
        config.write_text(text)
    assert made(job, before) == ALL


def test_a_changed_image_is_seen_again(job, run, tmp_path):
    copy = tmp_path / "image.png"
    copy.write_bytes(Path(job.items[5].image).read_bytes())
    job.items[5] = replace(job.items[5], image=str(copy))
    run(read, job.reading())
    before = job.parts()
    run(read, job.reading())
    assert made(job, before) == set()
    copy.write_bytes(Path(job.items[6].image).read_bytes())
    run(read, job.reading())
    assert made(job, before) == {name for name in ALL if "validation" not in name}
    copy.unlink()
    with pytest.raises(UserError, match=r"image\.png is missing; collect it again"):
        run(read, job.reading())


def test_a_torn_part_is_read_again_to_the_same_bytes(job, run, caplog):
    run(read, job.reading())
    before, whole = job.parts(), results(job)
    torn = next(path for path in (job.folder / "read/parts").glob("text_icl-test-1-*"))
    file = torn / "activations.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    other = next(path for path in (job.folder / "read/parts").glob("image_icl-validation-2-*"))
    os.truncate(other / "baselines.parquet", 100)
    run(read, job.reading())
    assert made(job, before) == {"text_icl-test-1", "image_icl-validation-2"}
    assert results(job) == whole


def vectors(*seeds: int) -> dict[str, torch.Tensor]:
    """Random vectors as `taskvectors.average` names them; a seed's are always the same."""
    found = {"instruction": torch.ones(LAYERS, WIDTH)}
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for name in ("text_icl", "image_icl", "text_icl_n2", "ensemble"):
            found[f"{name}/{seed}"] = torch.randn(LAYERS, WIDTH, generator=generator)
    return found


@pytest.mark.parametrize(("layer", "kinds"), [(None, {"full"}), (1, {"full", "partial"})])
def test_writing_keeps_the_seeds_whose_vectors_are_as_they_were(job, run, layer, kinds):
    stage = "write/parts/test"
    run(write, job.writing(vectors(1, 2), layer))
    first = pd.read_parquet(job.folder / "write/test.parquet")
    layers = LAYERS if layer is None else 1
    per_seed = 2 * 10 + (2 * 5 if layer is not None else 0)
    assert len(first) == layers * (10 + 2 * per_seed)
    before = job.parts(stage)
    assert made(job, {}, stage) == {f"{kind}-0-{n}" for kind in kinds for n in (1, 2)} | {
        "full-0-no_seed"
    }
    run(write, job.writing(vectors(1, 2, 3), layer))
    assert made(job, before, stage) == {f"{kind}-0-3" for kind in kinds}
    now = pd.read_parquet(job.folder / "write/test.parquet")
    old = now[now["seed"] != 3]
    keys = ["method", "query_modality", "seed", "layer", "entity"]
    pd.testing.assert_frame_equal(
        old.sort_values(keys).reset_index(drop=True), first.sort_values(keys).reset_index(drop=True)
    )
    assert len(now) == len(first) + layers * per_seed
    changed = vectors(1, 2, 3)
    changed["text_icl/2"][0, 0] += 1
    before = job.parts(stage)
    run(write, job.writing(changed, layer))
    assert made(job, before, stage) == {"full-0-2"}


def test_writing_in_parts_answers_as_writing_at_once(job, run, monkeypatch):
    run(write, job.writing(vectors(1, 2), None))
    whole = pd.read_parquet(job.folder / "write/test.parquet")
    monkeypatch.setattr(write, "SITES_PER_PART", 4 * LAYERS)
    run(write, job.writing(vectors(1, 2), None))
    assert {name.split("-")[1] for name in job.parts("write/parts/test")} == {"0", "4", "8"}
    split = pd.read_parquet(job.folder / "write/test.parquet")
    keys = ["method", "query_modality", "seed", "layer", "entity"]
    pd.testing.assert_frame_equal(
        split.sort_values(keys).reset_index(drop=True),
        whole.sort_values(keys).reset_index(drop=True),
        rtol=1e-3, atol=1e-4,
    )  # fmt: skip
