"""Files are written whole or not at all; activations stream; code hashes see code only."""

from __future__ import annotations

import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.base.files import folder_written_whole, read_jsonl, write_text, written_whole
from taskvectors.base.tensors import read_tensors, writing_activations


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


SHAPES = {"text_icl/test/1/query": (3, 2, 4), "instruction": (1, 2, 4)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_streamed_activations_read_back_as_they_were_put(tmp_path, dtype):
    path = tmp_path / "activations.safetensors"
    put = {name: torch.randn(shape).to(dtype) for name, shape in SHAPES.items()}
    with writing_activations(path, SHAPES, dtype) as writer:
        for name, tensor in reversed(put.items()):
            for row in reversed(range(len(tensor))):
                writer.put(name, row, tensor[row])
    found = read_tensors(path)
    assert found.keys() == put.keys()
    assert all(torch.equal(found[name], put[name]) for name in put)
    assert read_tensors(path, "text_icl").keys() == {"text_icl/test/1/query"}


def test_a_row_that_was_never_written_leaves_no_file(tmp_path):
    path = tmp_path / "activations.safetensors"
    with (
        pytest.raises(RuntimeError, match="3 rows were never written"),
        writing_activations(path, SHAPES, torch.float32) as writer,
    ):
        writer.put("instruction", 0, torch.zeros(2, 4))
    assert list(tmp_path.iterdir()) == []


def test_activations_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "activations.safetensors"
    with (
        pytest.raises(UserError, match="instruction, row 0, is not finite"),
        writing_activations(path, SHAPES, torch.float32) as writer,
    ):
        writer.put("instruction", 0, torch.full((2, 4), torch.nan))
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = tmp_path / "vectors.safetensors"
    with writing_activations(path, {"instruction": (1, 2, 4)}, torch.float32) as writer:
        writer.put("instruction", 0, torch.zeros(2, 4))
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
