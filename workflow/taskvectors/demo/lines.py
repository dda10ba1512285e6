"""The demo's prompts file, checked line by line before a model is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_jsonl
from taskvectors.base.images import kept
from taskvectors.base.schemas import check
from taskvectors.study.predictions import ICL_MODALITY

KEYS = {"text": "input", "image": "image"}  # of an exemplar, by its modality


def read_rows(path: Path, folder: Path) -> list[dict[str, Any]]:
    """The lines of a prompts file. Paths of images are relative to the file; in their place are
    those of copies in ``folder``, as they are seen, which do not change while a model runs.

    Raises `UserError` naming file, line and id where one is not valid: other keys, an empty text,
    an id twice, a vector of two specifications, exemplars of the other modality, an image that is
    missing or corrupt.
    """
    rows = read_jsonl(path)
    if not rows:
        raise UserError(f"{path} has no prompts; write one JSON object a line.")
    ids: dict[str, int] = {}
    specifications: dict[str, str] = {}
    for number, row in enumerate(rows, start=1):
        check(row, "demo", f"{path}, line {number}")
        where = f"{path}, line {number} (id {row['id']!r})"
        first = ids.setdefault(row["id"], number)
        if first != number:
            raise UserError(f"{where}: line {first} has the same id; give each line its own.")
        own = row["specification"]
        other = specifications.setdefault(row["vector"], own)
        if other != own:
            raise UserError(
                f"{where}: the vector {row['vector']!r} is of {other} in an earlier line and of "
                f"{own} here, and would be a mean of both; name two vectors."
            )
        _check_exemplars(row, where)
        for shown in _shown(row):
            _place_image(shown, path.parent, folder, where)
    return rows


def _check_exemplars(row: dict[str, Any], where: str) -> None:
    key = KEYS[ICL_MODALITY[row["specification"]]]
    for exemplar in row.get("exemplars", []):
        if key not in exemplar:
            raise UserError(
                f"{where}: an exemplar of {row['specification']} has no {key!r}; give it one, or "
                "name the other specification."
            )


def _shown(row: dict[str, Any]) -> Iterator[dict[str, str]]:
    """What a line shows: its exemplars and its query."""
    yield from row.get("exemplars", [])
    yield row["query"]


def _place_image(shown: dict[str, str], root: Path, folder: Path, where: str) -> None:
    """Put the path of an image's copy in the place of its own, which is relative to ``root``."""
    if "image" in shown:
        what, remedy = f"{where}: the image {shown['image']}", f"paths are relative to {root}"
        shown["image"] = str(kept((root / shown["image"]).absolute(), folder, what, remedy))
