"""The demo's prompts file: what is wrong is named by file, line and id before a model is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgb
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
    Image.new("RGB", (3, 3), (9, 8, 7)).save(tmp_path / "images/flag.png")
    (tmp_path / "images/broken.png").write_bytes(b"\x89PNG, but cut")

    def read(*rows: dict[str, Any]) -> list[dict[str, Any]]:
        path = tmp_path / "prompts.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return read_rows(path, tmp_path / "kept")

    return read


def test_paths_of_images_are_relative_to_the_file(read, tmp_path, monkeypatch):
    monkeypatch.chdir("/")
    (row,) = read(line(query={"image": "images/flag.png"}))
    assert open_rgb(Path(row["query"]["image"])).getpixel((1, 1)) == (9, 8, 7)


def test_images_that_are_written_over_are_still_those_that_were_read(read, tmp_path):
    (row,) = read(line(query={"image": "images/flag.png"}))
    Image.new("RGB", (3, 3), "white").save(tmp_path / "images/flag.png")
    assert open_rgb(Path(row["query"]["image"])).getpixel((1, 1)) == (9, 8, 7)
    (again,) = read(line(query={"image": "images/flag.png"}))
    assert again["query"]["image"] != row["query"]["image"]


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


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b'{"id": "a"', r"prompts\.jsonl, line 1 is not valid JSON .*; mend that line"),
        (b"\n\n{}\n", r"prompts\.jsonl, line 1 is not valid JSON"),
        ('{"id": "Côte"}'.encode("latin-1"), r"prompts\.jsonl is not in UTF-8"),
        ("{}".encode("utf-16"), r"prompts\.jsonl is not in UTF-8"),
        (b"[" * 200_000, r"line 1 is not valid JSON"),
        (b"[]\n", r"prompts\.jsonl, line 1: the whole: \[\] is not of type 'object'"),
        (b"", "has no prompts"),
        (b" \r\n", "has no prompts"),
    ],
)
def test_a_file_that_is_none_of_json_lines_is_named(tmp_path, content, complaint):
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=complaint) as error:
        read_rows(path, tmp_path)
    assert "collect" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        *({"id": "\ud800"}, {"label": "Par\udfffis"}, {"query": {"input": "\ud83d"}}),
        {"exemplars": [{"input": "Japan", "output": "\udc00"}]},
        {"query": {"image": "\udce9.png"}},
        TOLD | {"instruction": "The \ud800:"},
    ],
)
def test_half_of_a_character_is_refused_by_line(read, changes):
    with pytest.raises(UserError, match=r"prompts\.jsonl, line 2 is not valid JSON \(half of a c"):
        read(line(), line(**changes))


@pytest.mark.parametrize("text", ["a\u2028b", "a\x85b", "a\x0bb", "\ufeffa"])
def test_a_file_as_programs_write_it_is_read(tmp_path, text):
    row = line(query={"input": text}, label="Paris")
    written = json.dumps(row, ensure_ascii=False)
    for name, content in (("plain", f"{written}\n"), ("marked", f"\ufeff{written}\r\n\r\n")):
        path = tmp_path / f"{name}.jsonl"
        path.write_text(content, encoding="utf-8", newline="")
        if text == "a\x0bb":
            path.write_text(content.replace("\x0b", "\\u000b"), encoding="utf-8", newline="")
        assert read_rows(path, tmp_path)[0]["query"]["input"] == text


@pytest.mark.parametrize("image", ["images", "", "a\0b", "../../../../etc/shadow/none", "x" * 5000])
def test_a_path_that_is_no_image_is_named(read, image):
    with pytest.raises(UserError, match="line 1") as error:
        read(line(query={"image": image}))
    assert "collect" not in str(error.value)
