"""What is loaded is what was made: changed files are refused before use, and audit names them."""

from __future__ import annotations

import ast
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from taskvectors.base.schemas import check
from taskvectors.record.provenance import record_path

pytestmark = pytest.mark.workflow
ANSWERING = {"controls", "qualitative", "read", "write_test", "write_validation"}
ANSWERING |= {"mediate", "inject_test", "inject_validation", "instructions"}
LOADING = ANSWERING | {"vision_tower", "decode", "function_vectors", "overriding", "judge"}
PLACE = "embedded/spaced/food-color"
# An input of each kind, as a rule names it, and the file of it that is changed.
KINDS = {
    "safetensors": (f"read/{PLACE}/activations.safetensors", ""),
    "parquet": (f"write/{PLACE}/test.parquet", ""),
    "json lines": ("curate/food-color/exemplars.jsonl", ""),
    "json": ("score/embedded/spaced/layer.json", ""),
    "csv": ("score/embedded/spaced/accuracy.csv", ""),
    "image": ("collect/twemoji/foods/images", "avocado.png"),
    "checkpoint": ("prepare/embedded", "model.safetensors"),
}


@pytest.fixture(scope="module")
def copy(tiny_run, tmp_path_factory) -> Path:
    """The experiment in a folder of its own; unchanged files are the same ones on disk."""
    folder = tmp_path_factory.mktemp("copy")
    for name in ("results/tiny", "resources", "envs"):
        shutil.copytree(tiny_run.folder / name, folder / name, copy_function=os.link)
    shutil.copy(tiny_run.folder / "config.yaml", folder)
    return folder


def damage(path: Path, truncate: bool = False) -> None:
    """Flip a bit of one byte, or drop the last byte; the linked original stays as it is."""
    data = bytearray(path.read_bytes())
    at = random.Random(path.name).randrange(len(data))
    data[at] ^= 1 << random.Random(at).randrange(8)
    path.unlink()
    path.write_bytes(data[:-1] if truncate else data)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=folder, text=True, capture_output=True, check=False
    )


# A truncated checkpoint is left out: half a gigabyte once is enough, and a flipped byte is worse.
@pytest.mark.parametrize(
    ("kind", "truncate"),
    [(k, False) for k in KINDS] + [(k, True) for k in KINDS if k != "checkpoint"],
)
def test_a_damaged_input_is_refused_by_name_before_the_command_runs(copy, kind, truncate):
    path, below = KINDS[kind]
    given = f"results/tiny/{path}"
    named = f"{given}/{below}" if below else given
    good = copy / "good"
    os.link(copy / named, good)
    try:
        damage(copy / named, truncate)
        done = command(
            copy,
            *("taskvectors.record", "--rule", "none", "--code", "0", "--inputs", given),
            *("--outputs", "results/tiny/out", "--", "touch", "results/tiny/out"),
        )
    finally:
        good.replace(copy / named)
    assert done.returncode == 1
    assert f"error: {named} is not what it was" in done.stderr
    assert not (copy / "results/tiny/out").exists()


def test_every_output_of_the_run_has_a_whole_record(tiny_run):
    records = sorted((tiny_run.results / "records").rglob("*.json"))
    assert len(records) > 90
    for place in records:
        record = json.loads(place.read_text())
        check(record, "record", str(place))
        output = record["output"]["path"]
        assert record_path(output) == place.relative_to(tiny_run.folder)
        loaded = record["rule"] in LOADING
        assert (record["model"] is not None) == (record["device"] is not None) == loaded
        if loaded:
            assert record["device"] in ("cpu", "cuda:0")
            sees = record["rule"] != "judge"  # a language model judges
            assert record["model"]["image_backend"] == ("pil" if sees else None)
        assert ("answers" in record) == (record["rule"] in ANSWERING)
        if record["rule"] in ANSWERING:  # this tokenizer merges no delimiter
            assert record["answers"]["count"] > 0 == record["answers"]["forced_boundary"]
        assert record["config"]["experiment"] == "tiny"
        assert record["started"] < record["ended"]
        folder = (tiny_run.folder / output).is_dir()
        assert folder == ("files" in record["output"])
    rendered = json.loads((tiny_run.results / "records/tables/table_3.md.json").read_text())
    assert rendered["rule"] == "render_table_3"
    assert rendered["params"]["tasks"] == ["country-capital", "food-color", "food-flavor"]


def test_verify_passes_an_untouched_run(tiny_run):
    done = command(tiny_run.folder, "taskvectors.audit", "verify", "results/tiny")
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"all \d+ recorded outputs and their inputs are what they were", done.stdout)


def test_verify_names_every_damaged_file(copy):
    named = {f"results/tiny/{path}/{below}".rstrip("/") for path, below in KINDS.values()}
    for path in named:
        damage(copy / path)
    done = command(copy, "taskvectors.audit", "verify", "results/tiny")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "it was changed" in line]
    assert {line.split(": ")[0] for line in lines} == named
    assert "Traceback" not in done.stderr


def test_a_failing_command_passes_its_status_on_and_leaves_no_record(copy):
    script = "import os, pathlib; pathlib.Path('results/tiny/x').touch(); os._exit(7)"
    done = command(
        copy,
        *("taskvectors.record", "--rule", "none", "--code", "0", "--outputs", "results/tiny/x"),
        *("--", sys.executable, "-c", script),
    )
    assert done.returncode == 7
    assert not (copy / record_path("results/tiny/x")).exists()


def test_without_a_record_there_is_no_output(copy):
    blocked = copy / "results/tiny/records/blocked"
    blocked.touch()  # a file where the record's folder would be
    done = command(
        copy,
        *("taskvectors.record", "--rule", "none", "--code", "0", "--outputs"),
        *("results/tiny/blocked/a", "--", "mkdir", "-p", "results/tiny/blocked/a"),
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert not (copy / "results/tiny/blocked/a").exists()


# -- no pickle ----------------------------------------------------------------------------

UNPICKLING = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}


def calls_that_unpickle(tree: ast.AST) -> list[int]:
    """Lines that import an unpickler, or call a loader that would unpickle."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0]]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called = ast.unparse(node.func)
            pickled = called in ("torch.load", "torch.save", "pd.read_pickle", "np.load", "np.save")
            names = ["pickle"] if pickled or called.endswith(".to_pickle") else []
        else:
            continue
        if UNPICKLING & set(names):
            lines.append(node.lineno)
    return lines


def test_no_code_reads_or_writes_a_pickle(root):
    sources = sorted((root / "workflow").rglob("*.py"))
    assert len(sources) > 50
    found = {
        f"{path.relative_to(root)}:{line}"
        for path in sources
        for line in calls_that_unpickle(ast.parse(path.read_text(encoding="utf-8")))
    }
    assert found == set()


def test_no_result_is_a_pickle(tiny_run):
    endings = {".pkl", ".pickle", ".pt", ".pth", ".bin", ".npy", ".npz", ".joblib"}
    for path in tiny_run.results.rglob("*"):
        assert path.suffix not in endings
        if path.is_file() and path.stat().st_size > 1:
            with path.open("rb") as handle:
                start = handle.read(9)
            # A header's length may be any two bytes; the header is JSON.
            sound = path.suffix == ".safetensors" and start[8:] == b"{"
            pickled = start[0] == 0x80 and start[1] <= 5
            assert sound or not pickled, f"{path} begins like a pickle"
