"""Datasets as Croissant's library reads them back."""

from __future__ import annotations

from pathlib import Path

import mlcroissant

from taskvectors.study.datasets import Item


def by_croissant(file: Path) -> dict[tuple[str, str], list[Item]]:
    """The records that a description leads to, by task and split."""
    found = mlcroissant.Dataset(file)
    assert not found.metadata.issues.errors
    sets = {}
    for one in found.metadata.record_sets:
        rows = [
            {key.removeprefix(f"{one.id}/"): value.decode() for key, value in row.items()}
            for row in found.records(one.id)
        ]
        task, split = one.id.split("/")
        sets[task, split] = [Item(**row) for row in rows]
    return sets
