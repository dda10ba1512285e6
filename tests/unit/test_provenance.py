"""Records: what they say of files and folders, and what they make of changed inputs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.record import provenance
from taskvectors.record.provenance import check_input, describe, inside, read_record, record_path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository's root with one recorded folder and one recorded file."""
    monkeypatch.chdir(tmp_path)
    model = tmp_path / "results/e/prepare/m"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model / "weights.safetensors").write_bytes(bytes(64))
    (model / ".snakemake_timestamp").touch()
    (tmp_path / "results/e/layer.json").write_text("3")
    for output in ("results/e/prepare/m", "results/e/layer.json"):
        keep_record(output)
    return tmp_path


def keep_record(output):
    described = {"path": output, **describe(Path(output))}
    write_json(record_path(output), {"schema": 1, "output": described})


def flip(path, at=0, keep_time=False):
    """Change one byte."""
    stat = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    if keep_time:
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_folders_hash_is_that_of_its_sorted_lines(folder):
    found = describe(folder / "results/e/prepare/m")
    lines = sorted(
        f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        for name, data in (("config.json", b"{}"), ("weights.safetensors", bytes(64)))
    )
    assert found["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest()
    assert found["size"] == 66
    assert sorted(found["files"]) == ["config.json", "weights.safetensors"]


def test_an_unchanged_input_is_what_its_record_says(folder):
    for path in ("results/e/prepare/m", "results/e/layer.json"):
        recorded = read_record(record_path(path))["output"]
        expected = {"path": path, "sha256": recorded["sha256"], "size": recorded["size"]}
        assert check_input(path) == expected


@pytest.mark.parametrize("keep_time", [False, True])
@pytest.mark.parametrize(
    ("path", "file"),
    [
        ("results/e/prepare/m", "results/e/prepare/m/weights.safetensors"),
        ("results/e/layer.json", "results/e/layer.json"),
    ],
)
def test_one_changed_byte_is_refused_by_name(folder, path, file, keep_time):
    flip(folder / file, keep_time=keep_time)
    with pytest.raises(UserError, match=f"^{file} is not what it was .* delete {path}"):
        check_input(path)


def test_a_large_file_in_a_folder_is_believed_by_its_stat_alone(folder, monkeypatch):
    monkeypatch.setattr(provenance, "ALWAYS_HASHED", 16)
    weights = folder / "results/e/prepare/m/weights.safetensors"
    flip(weights, keep_time=True)
    assert check_input("results/e/prepare/m")["size"] == 66
    os.utime(weights)
    with pytest.raises(UserError, match=r"weights.safetensors is not what it was"):
        check_input("results/e/prepare/m")


def test_a_file_more_or_less_in_a_folder_is_refused_by_name(folder):
    extra = folder / "results/e/prepare/m/extra.json"
    extra.touch()
    with pytest.raises(UserError, match=r"extra.json was not there"):
        check_input("results/e/prepare/m")
    extra.unlink()
    (folder / "results/e/prepare/m/config.json").unlink()
    with pytest.raises(UserError, match=r"config.json is missing"):
        check_input("results/e/prepare/m")


def test_a_record_of_a_newer_schema_is_refused(folder):
    write_json(record_path("results/e/layer.json"), {"schema": 2})
    with pytest.raises(UserError, match="schema 2, but this code knows only up to 1"):
        check_input("results/e/layer.json")


@given(st.lists(st.sampled_from(["..", "a", "b"]), min_size=1, max_size=6))
def test_no_path_leads_out_of_the_repository(parts):
    path = "/".join(parts)
    if os.path.normpath(path).startswith(".."):
        with pytest.raises(UserError, match="outside the repository"):
            inside(path)
    else:
        assert inside(path) == os.path.normpath(path)
