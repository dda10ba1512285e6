"""Files are written whole or not at all; tensors are checked before."""

from __future__ import annotations

import os

import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.base.files import folder_written_whole, read_jsonl, write_text, written_whole
from taskvectors.base.tensors import check_finite, read_tensors, unwritten, write_tensors


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_bad_json_lines_are_named_by_file_and_line(tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(UserError, match=r"test\.jsonl, line 2 is not valid JSON"):
        read_jsonl(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_tensors_read_back_as_they_were_written(tmp_path, dtype):
    path = tmp_path / "activations.safetensors"
    tensors = {"text_icl/test/1/query": torch.randn(3, 2, 4).to(dtype)}
    tensors["instruction"] = torch.randn(1, 2, 4).to(dtype)
    write_tensors(path, tensors)
    found = read_tensors(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_row_that_was_never_written_is_found_by_name(dtype):
    tensors = {"instruction": torch.zeros(1, 2, 4), "text_icl": unwritten((3, 2, 4), dtype)}
    tensors["text_icl"][0] = 1
    with pytest.raises(UserError, match="the activation text_icl, row 1, is not finite; read it"):
        check_finite(tensors, "the activation", "read it again")
    tensors["text_icl"][1:] = 1
    check_finite(tensors, "the activation", "read it again")


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "vectors.safetensors"
    write_tensors(path, {"instruction": torch.zeros(1, 2, 4)})
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UserError, match=r"vectors\.safetensors is not a whole safetensors file"):
        read_tensors(path)


def test_a_failed_folder_leaves_the_old_one_and_nothing_else(tmp_path):
    folder = tmp_path / "model"
    with folder_written_whole(folder) as temporary:
        (temporary / "config.json").write_text("old")
        assert not folder.exists()
    with pytest.raises(RuntimeError), folder_written_whole(folder) as temporary:
        (temporary / "config.json").write_text("half of the n")
        raise RuntimeError
    assert [file.name for file in tmp_path.iterdir()] == ["model"]
    assert (folder / "config.json").read_text() == "old"
    with folder_written_whole(folder) as temporary:
        (temporary / "weights").touch()
    assert [file.name for file in folder.iterdir()] == ["weights"]


@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_who_may_read_a_file_is_the_umasks_to_say(tmp_path, mask):
    kept = os.umask(mask)
    try:
        write_tensors(tmp_path / "vectors.safetensors", {"one": torch.zeros(1)})
        write_text(tmp_path / "one.txt", "one")
    finally:
        os.umask(kept)
    modes = {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == {0o666 & ~mask}
