"""A checkpoint folder of one's own as a model: its hash is its revision."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from taskvectors.audit.attribution import used_model
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.models.checkpoint import folder_revision
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
    for name in ("config.json", "model.safetensors", "checkpoint-1/model.safetensors"):
        (folder / name).write_text(name)
    for name in ("optimizer.pt", "modeling_own.py"):
        (folder / name).write_text("print()")
    return folder


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
    (tuned / "model.safetensors").write_text("another")
    changed = folder_revision(tuned)
    (tuned / "model.safetensors").rename(tuned / "other.safetensors")
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
        ("model.safetensors", r"has no weights as \*.safetensors"),
    ],
)
def test_what_is_no_checkpoint_is_refused(tuned, missing, complaint):
    (tuned / missing).unlink()
    with pytest.raises(UserError, match=complaint):
        folder_revision(tuned)
    shutil.rmtree(tuned)
    with pytest.raises(UserError, match="is no checkpoint folder"):
        folder_revision(tuned)


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
