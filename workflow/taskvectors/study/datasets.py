"""Datasets: the queries of a task and split, and the exemplar sets of each query."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.files import read_jsonl
from taskvectors.base.schemas import check

SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Item:
    """One query of a task: the entity's name or image is asked, the label is the answer. ``text``
    is asked in place of the name where it is not empty."""

    task: str
    split: str
    entity: str
    image: str
    label: str
    text: str = ""

    @property
    def said(self) -> str:
        """What is asked in text."""
        return self.text or self.entity

    def as_row(self) -> dict[str, str]:
        """The item as a line of ``<split>.jsonl``."""
        return {name: value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class ExemplarSet:
    """The in-context examples of one query under one seed, in the order of the prompt."""

    split: str
    seed: int
    query: str
    exemplars: tuple[str, ...]


def read_items(path: Path) -> list[Item]:
    """Read ``<split>.jsonl``. Raises `UserError` naming file and line where it is not valid."""
    return [Item(**row) for row in _read_checked(path, "item")]


def read_exemplar_sets(path: Path) -> list[ExemplarSet]:
    """Read ``exemplars.jsonl``. Raises `UserError` naming file and line where it is not valid."""
    return [
        ExemplarSet(**{**row, "exemplars": tuple(row["exemplars"])})
        for row in _read_checked(path, "exemplars")
    ]


def _read_checked(path: Path, schema: str) -> list[dict[str, Any]]:
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        check(row, schema, f"{path}, line {number}")
    return rows
