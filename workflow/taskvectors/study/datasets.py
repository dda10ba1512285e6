"""Splits and exemplar sets, drawn from passed generators only."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_jsonl
from taskvectors.base.schemas import check

SPLITS = ("validation", "test")


@dataclass(frozen=True)
class Item:
    """One query of a task: the entity's name or image is asked, the label is the answer."""

    task: str
    split: str
    entity: str
    image: str
    label: str

    def as_row(self) -> dict[str, str]:
        """The item as a line of ``<split>.jsonl``."""
        return asdict(self)


@dataclass(frozen=True)
class ExemplarSet:
    """The in-context examples of one query under one seed, in the order of the prompt."""

    split: str
    seed: int
    query: str
    exemplars: tuple[str, ...]


def split_entities(
    names: list[str], validation: int, test: int, rng: random.Random
) -> dict[str, list[str]]:
    """Disjoint splits of ``names``: shuffle, then ``validation`` and ``test`` of them.

    All tasks of an entity set share its splits, so that a patched task and a prompted task
    can be compared on one query. Raises `UserError` where there are too few names.
    """
    if len(names) < validation + test:
        raise UserError(
            f"{len(names)} entities have an image, but the splits need {validation} validation "
            f"and {test} test items; lower them under `splits` in the configuration."
        )
    shuffled = rng.sample(sorted(names), k=len(names))
    return {
        "validation": shuffled[:validation],
        "test": shuffled[validation : validation + test],
    }


def draw_exemplars(names: list[str], query: str, count: int, rng: random.Random) -> list[str]:
    """``count`` names of the query's own split, without the query (paper, section 3)."""
    others = [name for name in names if name != query]
    if len(others) < count:
        raise UserError(
            f"a split of {len(names)} items cannot give {count} exemplars beside the query; "
            "lower `exemplars` or raise the split's size in the configuration."
        )
    return rng.sample(others, k=count)


def exemplar_sets(
    task: str, items: Iterable[Item], seeds: Iterable[int], count: int
) -> list[ExemplarSet]:
    """One exemplar set per seed and item. A set depends on its seed, task, split and query
    only, so that another seed list leaves the other seeds' sets as they are."""
    items = list(items)
    sets = []
    for seed in seeds:
        for split in SPLITS:
            names = [item.entity for item in items if item.split == split]
            for query in names:
                rng = random.Random(f"{seed}/{task}/{split}/{query}")
                drawn = draw_exemplars(names, query, count, rng)
                sets.append(ExemplarSet(split, seed, query, tuple(drawn)))
    return sets


def read_items(path: Path) -> list[Item]:
    """Read ``<split>.jsonl``. Raises `UserError` naming file and line where it is not valid."""
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        check(row, "item", f"{path}, line {number}")
    return [Item(**row) for row in rows]


def read_exemplar_sets(path: Path) -> list[ExemplarSet]:
    """Read ``exemplars.jsonl``. Raises `UserError` naming file and line where it is not valid."""
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        check(row, "exemplars", f"{path}, line {number}")
    return [ExemplarSet(**{**row, "exemplars": tuple(row["exemplars"])}) for row in rows]
