"""Files are written whole or not at all; tensors are checked before."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.base.files import (
    check_writable,
    folder_written_whole,
    read_json,
    read_jsonl,
    write_text,
    written_whole,
)
from taskvectors.base.tensors import check_finite, read_tensors, unwritten, write_tensors

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(RuntimeError), written_whole(path) as temporary:
        temporary.write_text("half of the n")
        raise RuntimeError
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["table.csv"]


def test_a_folder_that_takes_no_files_is_named(tmp_path, monkeypatch):
    # As for everybody but root, who runs the tests in CI.
    monkeypatch.setattr(os, "access", lambda place, mode: bool(Path(place).stat().st_mode & 0o200))
    folder = tmp_path / "logs/tiny"
    check_writable(folder)  # to be made
    folder.mkdir(parents=True)
    check_writable(tmp_path / "logs")
    folder.chmod(0o555)
    with pytest.raises(UserError, match=r"logs/tiny takes no files; allow it with `chmod u\+wx"):
        check_writable(tmp_path / "logs")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file is no folder; move it away"):
        check_writable(tmp_path / "file")


def test_bad_json_lines_are_named_by_file_and_line(tmp_path):
    path = tmp_path / "test.jsonl"
    path.write_text('{"a": 1}\n{"a": \n')
    with pytest.raises(UserError, match=r"test\.jsonl, line 2 is not valid JSON"):
        read_jsonl(path)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        *(("NaN", "NaN is no number in JSON"), ("-Infinity", "-Infinity is no number in JSON")),
        *(("1e999", "1e999 is no number"), ("9" * 5000, "a number of 5000 characters is too long")),
        *(("[" * 10**5, "nested too deeply"), ('{"b": 1, "b": 2}', "the key 'b' stands twice")),
        *(('"\\ud800"', "a lone surrogate"), ('{"\\udfff": 1}', "a lone surrogate")),
    ],
)
def test_what_python_takes_for_json_and_is_none_is_refused_by_line(tmp_path, value, complaint):
    path = tmp_path / "prompts.jsonl"
    path.write_text(f'{{"a": 1.5}}\n{{"a": {value}}}\n')
    with pytest.raises(
        UserError, match=rf"prompts\.jsonl, line 2 is not valid JSON \(.*{complaint}"
    ):
        read_jsonl(path)


@given(JSON)
def test_json_that_is_written_is_read_back(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "rows.jsonl"
    for as_ascii in (True, False):
        path.write_text(json.dumps(value, ensure_ascii=as_ascii) + "\n", encoding="utf-8")
        assert read_jsonl(path) == [value]


@pytest.mark.parametrize("text", ["{", "[" * 10**5, "9" * 5000])
def test_a_file_that_is_no_json_is_refused_by_name(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=r"config\.json is not valid JSON \("):
        read_json(tmp_path / "config.json")


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
