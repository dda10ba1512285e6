"""Where labels are from, as the entity tables say."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taskvectors.base.errors import UserError
from taskvectors.study.manifest import read_csv

TABLES = "resources/entities"


@dataclass(frozen=True)
class Label:
    """One label of an entity table, and who says so."""

    entity: str
    column: str
    label: str
    source: str
    method: str
    url: str


def is_entity_table(path: str) -> bool:
    """Whether a recorded path is a table of entities and labels."""
    place = PurePosixPath(path)
    return place.parent == PurePosixPath(TABLES) and place.stem != "dropped"


def read_labels(table: Path, columns: Iterable[str]) -> list[Label]:
    """The labels in ``columns`` of an entity table. Raises `UserError` where the table is missing
    or lacks a column."""
    rows = read_csv(table)
    about = ("source", "method", "url")
    try:
        return [
            Label(row["entity"], column, row[column], *(row[f"{column}_{name}"] for name in about))
            for column in columns
            for row in rows
        ]
    except KeyError as error:
        raise UserError(f"{table} has no column {error}; restore it.") from error
