"""Checkpoints broken in every way of the corpus, at `models.add` and at loading, and nonsense given
to every function of the API: one sentence, or a right value, and nothing runs or is left behind."""

from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from corpus.damage import ALL, BYTES, damage
from corpus.refusals import files_in, refusal
from corpus.wrong_values import SAMPLES, put
from taskvectors import api
from taskvectors.engine.load import load_adapter
from taskvectors.models.add.__main__ import describe
from taskvectors.models.add.abilities import empty_adapter

from .families import FAMILIES

PAIRS = [("France", "Paris"), ("Japan", "Tokyo")]
#: Without these a checkpoint is as good as with them.
NEEDLESS = {
    ("generation_config.json", "missing"),
    ("generation_config.json", "an object of nothing"),
    ("generation_config.json", "a key of nothing"),
    ("tokenizer_config.json", "missing"),
    ("tokenizer_config.json", "an object of nothing"),
    ("tokenizer_config.json", "a key of nothing"),
}
FILES = ["config.json", "generation_config.json", "model.safetensors", "processor_config.json",
         "tokenizer.json", "tokenizer_config.json"]  # fmt: skip
FEW = ["null", "a negative number", "a huge number", "a text of nothing", "a list"]
JSON = {kind: value for kind, value in SAMPLES.items() if kind not in ("a day", "bytes", "a set")}


@pytest.fixture(scope="module")
def good(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus") / "tiny"
    FAMILIES["llava"].save(folder)
    assert sorted(path.name for path in folder.iterdir()) == FILES
    return folder


@pytest.fixture
def copy(good, tmp_path) -> Path:
    return shutil.copytree(good, tmp_path / "tiny")


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch) -> None:
    """Nothing is unpickled, and nobody asked."""
    for module, name in ((pickle, "loads"), (pickle, "load"), (torch, "load")):
        monkeypatch.setattr(module, name, lambda *a, **k: pytest.fail("it was unpickled"))
    monkeypatch.setattr("builtins.input", lambda *a: pytest.fail("somebody was asked"))


def added(folder: Path) -> Any:
    """What `models.add` looks at."""
    describe(str(folder), folder)
    return empty_adapter(folder, "tiny")


def loaded(folder: Path) -> Any:
    return load_adapter(folder, "tiny", "float32", "cpu")


DOORS = {"add": added, "load": loaded}


@pytest.mark.parametrize("how", ALL)
@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file_of_a_checkpoint_is_refused_at_both_doors(file, how, copy):
    damage(copy / file, how)
    before = files_in(copy)
    for door in (added, loaded):
        said = refusal(lambda door=door: door(copy))
        assert (said is None) == ((file, how) in NEEDLESS), (door, said)
    assert files_in(copy) == before


@pytest.mark.parametrize("how", BYTES)
def test_a_damaged_index_of_shards_is_refused(how, copy):
    names = dict.fromkeys(load_file(copy / "model.safetensors"), "model.safetensors")
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    damage(index, how)
    assert refusal(lambda: added(copy)) is not None
    assert refusal(lambda: loaded(copy)) is not None


OUT = ["../secret.safetensors", "/etc/passwd", "a/../../secret.safetensors", "..", ".", "", "\0",
       "up/secret.safetensors", "\\\\host\\a", "x" * 300, "pytorch_model.bin", "own.py",
       "config.json", "https://example.org/model.safetensors"]  # fmt: skip


@pytest.mark.parametrize("shard", OUT, ids=repr)
def test_an_index_names_weights_of_its_folder_alone(shard, copy):
    (copy.parent / "secret.safetensors").write_bytes((copy / "model.safetensors").read_bytes())
    (copy / "up").symlink_to("..")
    names = dict.fromkeys(load_file(copy / "model.safetensors"), shard)
    (copy / "model.safetensors").unlink()
    index = copy / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    assert refusal(lambda: added(copy)) is not None
    assert refusal(lambda: loaded(copy)) is not None


def places(document: dict[str, Any], above: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of a document, and of what is in it."""
    found = []
    for key, value in document.items():
        found.append((*above, key))
        found += places(value, (*above, key)) if isinstance(value, dict) else []
    return found


@pytest.mark.parametrize("file", [name for name in FILES if "config" in name])
def test_nonsense_under_any_key_of_a_checkpoint_is_refused_or_makes_an_adapter(file, copy):
    """transformers takes some of it as it is; what runs on that is held to be finite."""
    document = json.loads((copy / file).read_text())
    tried, refused = 0, 0
    for place in places(document):
        for kind in FEW:
            value = JSON[kind]
            (copy / file).write_text(json.dumps(put(document, place, value)))
            refused += refusal(lambda: empty_adapter(copy, "tiny")) is not None
            tried += 1
    assert tried > 30 and refused > (file == "config.json") * tried / 3


@pytest.mark.parametrize(
    "model",
    ["", ".", "..", "/", "a", "a/b/c", "a/../b", "../a", "a/..", "\0", "a\nb", "-a/b", "a/b\n",
     "https://example.org/a/b", "x" * 5000, "a b/c", "ä/b", "a/b?c=d", "a/b@main", "file:///etc"],
    ids=lambda name: repr(name)[:20],
)  # fmt: skip
def test_what_is_no_folder_and_no_hubs_id_is_not_asked_for(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("it was asked for"))
    assert refusal(lambda: describe(model, tmp_path)) is not None


# -- the API ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model(good) -> api.Model:
    return api.load(good, device="cpu")


@pytest.fixture(scope="module")
def vector(model) -> api.TaskVector:
    return api.read(model, PAIRS)


CLOSED = Image.new("RGB", (3, 3))
CLOSED.close()
NONSENSE: dict[str, Any] = {
    **{kind: value for kind, value in SAMPLES.items() if kind != "a line"},
    "half of a character": "\ud800",
    "an object of Python": object(),
    "a missing path": Path("/nowhere/a.png"),
    "a folder's path": Path("/"),
    "a path with a zero": Path("a\0b"),
    "an empty array": np.zeros((0, 0, 3), np.uint8),
    "an array of one axis": np.zeros(3),
    "an array of objects": np.array([None]),
    "an array of no numbers": np.full((4, 4, 3), np.nan),
    "an array of complex numbers": np.ones((4, 4, 3), complex),
    "an empty tensor": torch.zeros(0),
    "a tensor without values": torch.zeros(4, 4, 3, device="meta"),
    "an image of no pixels": Image.new("RGB", (0, 5)),
    "a closed image": CLOSED,
    "a triple": [("a", "b", "c")],
    "a single": [("a",)],
    "a text of two letters": ["ab"],
    "bytes for an input": [(b"a", "b")],
    "a number for a label": [("a", 3)],
    "nothing for a label": [("a", None)],
    "half a label": [("a", "\ud800")],
}
TEXTS = {"a text of nothing", "a text of zeros", "a long text", "a path out"}
NUMBERS = {"a whole number", "a negative number", "a fraction", "a whole float", "null"}
NONE = {"a list of nothing"}
#: By function and argument: how it is called, and what of the above is right there.
CALLS: dict[str, tuple[Callable[..., Any], set[str]]] = {
    "ask": (lambda m, v, x: api.ask(m, x, tokens=1), TEXTS),
    "ask, exemplars": (lambda m, v, x: api.ask(m, "a", x, tokens=1), NONE),
    "ask, instruction": (lambda m, v, x: api.ask(m, "a", instruction=x, tokens=1), TEXTS),
    "ask, tokens": (lambda m, v, x: api.ask(m, "a", tokens=x), {"a whole number"}),
    "read": (lambda m, v, x: api.read(m, x), set()),
    "read, instruction": (
        lambda m, v, x: api.read(m, instruction=x), TEXTS - {"a text of nothing"}),
    "read, licence": (lambda m, v, x: api.read(m, PAIRS, licence=x),
                      {*TEXTS, "null", "half of a character"}),
    "patch, layer": (lambda m, v, x: api.patch(m, "a", v, x, tokens=1), set()),
    "patch, strength": (lambda m, v, x: api.patch(m, "a", v, 1, strength=x, tokens=1), NUMBERS),
    "patch, vector": (lambda m, v, x: api.patch(m, "a", x, 1, tokens=1), set()),
    "sweep": (lambda m, v, x: api.sweep(m, x, v), {"a text of two letters"}),
    "sweep, labels": (lambda m, v, x: api.sweep(m, ["a"], v, x), {"null", "a text of two letters"}),
    "sweep, a label": (lambda m, v, x: api.sweep(m, ["a"], v, [x]),
                       TEXTS - {"a text of nothing"}),
    "sweep, strength": (lambda m, v, x: api.sweep(m, ["a"], v, strength=x), NUMBERS),
    "sweep_heads, clean": (lambda m, v, x: api.sweep_heads(m, x, PAIRS, "a", "b"), set()),
    "sweep_heads, shuffled": (lambda m, v, x: api.sweep_heads(m, PAIRS, x, "a", "b"), set()),
    "sweep_heads, label": (lambda m, v, x: api.sweep_heads(m, PAIRS, PAIRS, "a", x),
                           TEXTS - {"a text of nothing"}),
    "average": (lambda m, v, x: api.average(x), set()),
    "average, a vector": (lambda m, v, x: api.average([x]), set()),
    "compare": (lambda m, v, x: api.compare(x, 1), set()),
    "compare, layer": (lambda m, v, x: api.compare({"a": v}, x), set()),
    "lens, vector": (lambda m, v, x: api.lens(m, x), set()),
    "lens, top": (lambda m, v, x: api.lens(m, v, x), {"a whole number"}),
    "open_vector": (lambda m, v, x: api.open_vector(x), set()),
    "load": (lambda m, v, x: api.load(x, device="cpu"), set()),
    "load, template": (lambda m, v, x: api.load("gone", template=x), set()),
    "load, dtype": (lambda m, v, x: api.load("gone", dtype=x), set()),
    "load, device": (lambda m, v, x: api.load("gone", device=x), set()),
    "save_gguf, layer": (lambda m, v, x: v.save_gguf("/dev/null/gone.gguf", x), set()),
}  # fmt: skip


@pytest.mark.parametrize("kind", NONSENSE)
@pytest.mark.parametrize("call", CALLS)
def test_nonsense_given_to_the_api_is_refused(call, kind, model, vector):
    run, right = CALLS[call]
    said = refusal(lambda: run(model, vector, NONSENSE[kind]))
    assert (said is None) == (kind in right), said


@pytest.mark.parametrize("how", ALL)
def test_a_damaged_file_of_a_vector_is_refused(how, model, vector, tmp_path):
    path = tmp_path / "a.safetensors"
    vector.save(path)
    damage(path, how)
    before = files_in(tmp_path)
    assert refusal(lambda: api.open_vector(path, model)) is not None
    assert files_in(tmp_path) == before


def abouts() -> dict[str, str | None]:
    """What a vector's file may say of it that is none."""
    said = {"model": "tiny", "revision": "0" * 64, "site": "exemplar", "template": "spaced",
            "specification": "text_icl", "prompts": 1, "dtype": "float32"}  # fmt: skip
    found: dict[str, str | None] = {"none": None, "nothing": "", "a list": "[]", "null": "null"}
    for key in said:
        found[f"no {key}"] = json.dumps({name: said[name] for name in said if name != key})
        for kind, value in JSON.items():
            if not isinstance(value, type(said[key])) or value in (-1, True):
                found[f"{key}: {kind}"] = json.dumps({**said, key: value})
    return found


@pytest.mark.parametrize("kind", abouts())
def test_a_vector_that_does_not_say_what_it_is_of_is_refused(kind, tmp_path):
    path, said = tmp_path / "a.safetensors", abouts()[kind]
    about = {} if said is None else {"about": said}
    save_file({"vector": torch.ones(3, 32)}, path, {"format": "taskvectors/1", **about})
    assert refusal(lambda: api.open_vector(path)) is not None


# -- the real commands -----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["demo", "models.add"])
def test_a_command_ends_in_one_line_and_leaves_no_file(command, copy, root, tmp_path):
    prompts, out = tmp_path / "prompts.jsonl", tmp_path / "out"
    prompts.write_text('{"id": "a"}\n')
    broken, words = {
        "demo": (prompts, ["--model", str(copy), "--template", "spaced", "--prompts", str(prompts),
                           "--out", str(out)]),
        "models.add": (copy / "config.json", [str(copy), "--dry-run"]),
    }[command]  # fmt: skip
    damage(broken, "a link to itself")
    before = files_in(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", f"taskvectors.{command}", *words],
        cwd=root,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1 and done.stdout == ""
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and broken.name in last
    assert files_in(tmp_path) == before
