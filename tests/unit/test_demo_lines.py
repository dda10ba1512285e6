"""The demo's prompts file: what is wrong is named by file, line and id before a model is loaded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.demo.lines import read_rows


def line(**changes: Any) -> dict[str, Any]:
    row = {
        "id": "a", "vector": "capital", "specification": "text_icl",
        "exemplars": [{"input": "Japan", "output": "Tokyo"}], "query": {"input": "France"},
        "label": "Paris",
    }  # fmt: skip
    return {**row, **changes}


@pytest.fixture
def read(tmp_path):
    """Write rows as a prompts file beside two images, and read it."""
    (tmp_path / "images").mkdir()
    Image.new("RGB", (3, 3)).save(tmp_path / "images/flag.png")
    (tmp_path / "images/broken.png").write_bytes(b"\x89PNG, but cut")

    def read(*rows: dict[str, Any]) -> list[dict[str, Any]]:
        path = tmp_path / "prompts.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return read_rows(path)

    return read


def test_paths_of_images_are_relative_to_the_file(read, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (row,) = read(line(query={"image": "images/flag.png"}))
    assert row["query"]["image"] == str(tmp_path / "images/flag.png")


SHOWN = [{"image": "images/flag.png", "output": "x"}]
TOLD = {"specification": "instruction", "instruction": "The capital:"}


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([line(), line()], r"line 2 \(id 'a'\): line 1 has the same id"),
        ([line(), {k: v for k, v in line(id="b", **TOLD).items() if k != "exemplars"}],
         r"line 2 \(id 'b'\): the vector 'capital' is of text_icl in an earlier line and of instr"),
        ([line(exemplars=SHOWN)], r"line 1 \(id 'a'\): an exemplar of text_icl has no 'input'"),
        ([line(specification="image_icl")], r"an exemplar of image_icl has no 'image'"),
        ([line(query={"image": "images/none.png"})], r"the image images/none\.png is missing"),
        ([line(query={"image": "images/broken.png"})], r"images/broken\.png is corrupt \("),
        ([line(query={"input": ""})], r"line 1"),
        ([line(exemplars=[{"input": "Japan", "output": ""}])], r"line 1"),
        ([line(label="")], r"line 1"),
        ([], r"has no prompts"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(read, rows, complaint):
    with pytest.raises(UserError, match=complaint) as error:
        read(*rows)
    assert "collect it again" not in str(error.value)
