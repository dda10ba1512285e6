"""Parts of a job: kept while nothing they depend on changes, and made again where they are torn."""

from __future__ import annotations

import logging
import os

import pytest

from taskvectors.parts import SEAL, Part, Parts, checkpoint_key, key_of, surroundings

ONE, TWO = Part("one", key_of(seed=1)), Part("two", key_of(seed=2))


def made(folder, *wanted: Part) -> list[str]:
    """Make what is missing of the wanted parts; the names of what was made."""
    parts = Parts(folder, wanted)
    for part in parts.missing:
        with parts.making(part) as temporary:
            (temporary / "data").write_text(part.name * 3)
    assert [path.read_text() for path in parts.files("data")] == [one.name * 3 for one in wanted]
    return [part.name for part in parts.missing]


def test_finished_parts_are_kept_and_others_removed(tmp_path, caplog):
    folder = tmp_path / "parts"
    with caplog.at_level(logging.INFO):
        assert made(folder, ONE) == ["one"]
        assert made(folder, ONE, TWO) == ["two"]
        assert "parts: 1 kept, 1 to make" in caplog.text
    assert made(folder, TWO) == []
    assert [path.name for path in folder.iterdir()] == [TWO.folder]
    assert made(folder, Part("two", key_of(seed=3))) == ["two"]


@pytest.mark.parametrize(
    "tear",
    [
        lambda part: os.truncate(part / "data", 5),
        lambda part: (part / "data").write_text("owt" * 3),
        lambda part: (part / "data").unlink(),
        lambda part: (part / "more").write_text(""),
        lambda part: (part / SEAL).unlink(),
        lambda part: (part / SEAL).write_text('{"files'),
        lambda part: (part / SEAL).write_text("[]"),
    ],
    ids=["truncated", "changed", "missing", "strange", "unsealed", "torn seal", "no seal"],
)
def test_a_part_that_is_not_what_its_seal_says_is_made_again(tmp_path, caplog, tear):
    made(tmp_path, ONE, TWO)
    tear(tmp_path / TWO.folder)
    assert made(tmp_path, ONE, TWO) == ["two"]
    assert f"{TWO.folder} is not whole: it is made again" in caplog.text


def test_a_part_that_fails_leaves_nothing(tmp_path):
    parts = Parts(tmp_path, [ONE])
    with pytest.raises(OSError, match="full"), parts.making(ONE) as temporary:
        (temporary / "data").write_text("half")
        raise OSError("the disk is full")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_job_left_behind_is_removed(tmp_path):
    (tmp_path / f".{ONE.folder}.123.partial").mkdir()
    assert made(tmp_path, ONE) == ["one"]
    assert [path.name for path in tmp_path.iterdir()] == [ONE.folder]


def test_a_checkpoint_is_told_by_its_small_files_bytes_and_its_weights_state(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(bytes(2**20 + 1))
    key = checkpoint_key(tmp_path)
    os.utime(tmp_path / "config.json", ns=(1, 1))
    assert checkpoint_key(tmp_path) == key
    os.utime(weights, ns=(1, 1))
    touched = checkpoint_key(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    assert len({key, touched, checkpoint_key(tmp_path)}) == 3


def test_a_gpu_and_a_cpu_do_not_share_parts():
    assert surroundings("cuda:1") == surroundings("cuda") != surroundings("cpu")
