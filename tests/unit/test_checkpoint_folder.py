"""A checkpoint folder of one's own as a model: its hash is its revision."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import save_file

from taskvectors.audit.attribution import used_model
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_json
from taskvectors.models import checkpoint
from taskvectors.models.checkpoint import folder_revision, stored_tensors
from taskvectors.prepare.copy_folder import copy_folder
from taskvectors.study.config import read_models

ENTRY = {
    "dtype": "bfloat16",
    "gpus": 1,
    "parameters": 1,
    "image_icl": True,
    "text_model": "Llama",
    "paradigm": "late-fusion",
}


@pytest.fixture
def tuned(tmp_path, monkeypatch) -> Path:
    """A folder with the files of a checkpoint and some that are none of it; copies are kept beside
    it."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "tuned"
    (folder / "checkpoint-1").mkdir(parents=True)
    for place in (folder, folder / "checkpoint-1"):
        write_json(place / "config.json", {"model_type": "llama"})
        save_file({"lm_head.weight": torch.ones(2)}, place / "model.safetensors")
    for name in ("optimizer.pt", "modeling_own.py"):
        (folder / name).write_text("print()")
    return folder


def index(folder: Path, shards: list[str]) -> None:
    """An index by which each shard has one tensor."""
    write_json(
        folder / "model.safetensors.index.json",
        {"weight_map": {f"{number}.weight": name for number, name in enumerate(shards)}},
    )


def test_what_is_pinned_is_copied_and_says_where_it_is_from(tuned, tmp_path):
    revision = folder_revision(tuned)
    copy_folder(tuned, revision, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "source.json"}
    source = read_json(tmp_path / "out/source.json")
    assert source == {"folder": str(tuned), "revision": revision}
    assert used_model(tmp_path / "out").source == f"the folder {tuned} with hash {revision}"


def test_the_hash_is_that_of_names_and_contents_and_of_no_other_file(tuned):
    revision = folder_revision(tuned)
    assert len(revision) == 64
    (tuned / "optimizer.pt").write_text("another")
    assert folder_revision(tuned) == revision
    save_file({"lm_head.weight": torch.zeros(2)}, tuned / "model.safetensors")
    changed = folder_revision(tuned)
    (tuned / "model.safetensors").rename(tuned / "shard.safetensors")
    index(tuned, ["shard.safetensors"])
    assert len({revision, changed, folder_revision(tuned)}) == 3


def test_a_checkpoint_that_is_not_the_pinned_one_is_refused_and_nothing_is_copied(tuned, tmp_path):
    with pytest.raises(UserError, match=r"has the hash [0-9a-f]{12}, but .* pins 000000000000"):
        copy_folder(tuned, "0" * 64, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tuned"]


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("config.json", "is no checkpoint folder: it has no config.json"),
        ("model.safetensors", r"has no weights as model\*.safetensors"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tuned, missing, complaint):
    (tuned / missing).unlink()
    with pytest.raises(UserError, match=complaint):
        folder_revision(tuned)
    shutil.rmtree(tuned)
    with pytest.raises(UserError, match="is no checkpoint folder"):
        folder_revision(tuned)


def test_weights_in_another_format_beside_them_are_left_out(tuned, tmp_path):
    revision = folder_revision(tuned)
    save_file({"w": torch.ones(2)}, tuned / "consolidated.safetensors")
    copy_folder(tuned, revision, tmp_path / "out")
    assert not (tmp_path / "out/consolidated.safetensors").exists()


@pytest.mark.parametrize(
    ("shards", "others", "complaint"),
    [
        (None, ["model-00001-of-00002.safetensors"], "has two sets of weights, model.safetensors"),
        (None, ["model.fp16.safetensors"], "and model.fp16.safetensors; take away the one"),
        (None, ["shard-00000-model-00000-of-00001.safetensors"], "has two sets of weights"),
        (["a.safetensors"], ["a.safetensors"], "two sets of weights, a.safetensors and model.safe"),
        (
            ["model.safetensors", "b.safetensors"],
            [],
            "1 files that are missing, e.g. b.safetensors",
        ),
        (["../model.safetensors"], [], "names '../model.safetensors', which is no file of its"),
        (["/tmp/model.safetensors"], [], "names '/tmp/model.safetensors', which is no file"),
        (["checkpoint-1/model.safetensors"], [], "is no file of its folder"),
        ([], [], "index.json is no index of weights"),
        (None, ["adapter_model.safetensors"], "has an adapter .*; merge it first"),
        (None, ["adapter_config.json"], "has an adapter .*; merge it first"),
        (None, ["adapter_model.bin"], "has an adapter .*; merge it first"),
    ],
)
def test_weights_that_are_not_one_set_of_the_folders_own_are_refused(
    tuned, shards, others, complaint
):
    if shards is not None:
        index(tuned, shards)
    for name in others:
        save_file({"w": torch.ones(2)}, tuned / name)
    with pytest.raises(UserError, match=complaint) as error:
        folder_revision(tuned)
    assert "\n" not in str(error.value)


def test_a_tensor_in_two_shards_is_refused(tuned):
    index(tuned, ["model.safetensors", "b.safetensors"])
    save_file({"lm_head.weight": torch.ones(2)}, tuned / "b.safetensors")
    with pytest.raises(UserError, match=r"two files have the tensor lm_head\.weight"):
        stored_tensors(tuned)


def lying(text: str, data: int = 4) -> bytes:
    """A safetensors file with this header and so many bytes of data."""
    return len(text).to_bytes(8, "little") + text.encode() + bytes(data)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        (2**60).to_bytes(8, "little") + b"{}",
        lying("[]"),
        lying('{"w": {"dtype": "F32", "shape": [9], "data_offsets": [0, 4]}}'),
        lying('{"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}', data=0),
        lying('{"w": {"dtype": "F32", "shape": [4294967296, 4294967296], "data_offsets": [0, 4]}}'),
    ],
)
def test_a_file_whose_header_lies_or_is_missing_is_named(tuned, content):
    (tuned / "model.safetensors").write_bytes(content)
    with pytest.raises(
        UserError, match=r"model\.safetensors: the weights cannot be read \("
    ) as error:
        stored_tensors(tuned)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "is no JSON object"),
        ("nonsense", "is not valid JSON"),
        ('{"transformers_weights": "../other.safetensors"}', "transformers_weights names"),
    ],
)
def test_a_configuration_that_is_none_is_refused(tuned, text, complaint):
    (tuned / "config.json").write_text(text)
    with pytest.raises(UserError, match=complaint):
        folder_revision(tuned)


def test_what_a_file_says_is_read_again_only_where_it_changed(tuned, monkeypatch):
    revision = folder_revision(tuned)
    monkeypatch.setattr(checkpoint, "sha256", lambda path: pytest.fail(f"{path} was read again"))
    assert folder_revision(tuned) == revision


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"language_model": "gone"}, "mine is made of 'gone', which is no model of the file"),
        ({"tuned": "gone"}, "mine is made of 'gone'"),
        ({"open": "mine"}, "mine is made of itself"),
        ({"hub": "../..", "revision": "a" * 40}, "hub: '../..' does not match"),
        ({"hub": "a/..", "revision": "a" * 40}, "does not match"),
        (
            {"hub": "a/b", "revision": "a" * 40, "parameters": float("inf")},
            "parameters: inf is not",
        ),
        (
            {"hub": "a/b", "revision": "a" * 40, "parameters": float("nan")},
            "parameters: nan is not",
        ),
    ],
)
def test_an_entry_that_no_model_can_be_made_of_is_refused(tmp_path, changes, complaint):
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"mine": {**ENTRY, **changes}}))
    with pytest.raises(UserError, match=complaint) as error:
        read_models(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ({"folder": "tuned", "revision": "a" * 64}, None),
        ({"hub": "a/b", "revision": "a" * 40}, None),
        ({"folder": "tuned"}, "'revision' is a dependency of 'folder'"),
        ({"folder": "tuned", "revision": "a" * 40}, "does not match"),
        ({"hub": "a/b", "revision": "a" * 64}, "does not match"),
        ({"package": "p", "file": "f", "revision": "a" * 40}, "not valid under any"),
    ],
)
def test_a_folders_revision_is_a_hash_and_a_hubs_a_commit(tmp_path, source, complaint):
    path = tmp_path / "models.yaml"
    path.write_text(yaml.safe_dump({"mine": {**source, **ENTRY}}))
    if complaint is None:
        assert read_models(path)["mine"].revision == source["revision"]
        return
    with pytest.raises(UserError, match=complaint):
        read_models(path)
