"""Where labels are from, as the entity tables say."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taskvectors.base.errors import UserError
from taskvectors.study.manifest import NOT_STATED
from taskvectors.study.rows import is_own, read_rows

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
    """Whether a recorded path is a table of entities and labels, of ours or of one's own."""
    place = PurePosixPath(path)
    return is_own(Path(path)) or (place.parent == PurePosixPath(TABLES) and place.stem != "dropped")


def read_labels(table: Path, columns: Iterable[str]) -> list[Label]:
    """The labels in ``columns`` of an entity table. Raises `UserError` where the table is missing
    or lacks a column."""
    _, rows = read_rows(table)
    return [_label(table, row.cells, column) for column in columns for row in rows]


def _label(table: Path, cells: dict[str, str], column: str) -> Label:
    about = [f"{column}_{name}" for name in ("source", "method", "url")]
    try:
        label = cells["entity"], column, cells[column]
        if is_own(table):  # which need not say where its labels are from
            return Label(*label, *(cells.get(name) or NOT_STATED for name in about))
        return Label(*label, *(cells[name] for name in about))
    except KeyError as error:
        raise UserError(f"{table} has no column {error}; restore it.") from error
