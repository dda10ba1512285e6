"""The rows of entity tables as text, before anything is made of them.

A table is ``resources/entities/<entity set>.csv``, or the ``metadata.csv`` or ``metadata.jsonl``
in a folder of one's own images, which has the entity set's name. The latter is what Hugging Face's
imagefolder has, too, whose names of columns are taken as well.
"""

import csv
import io
import json
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError

OWN_TABLES = ("metadata.csv", "metadata.jsonl")
# Other people's names of our columns.
ALIASES = {"file_name": "file", "license": "licence"}


@dataclass(frozen=True)
class TableRow:
    """One row: the line of the file that it ends on, and its cells by column."""

    line: int
    cells: dict[str, str]


def is_own(table: Path) -> bool:
    """Whether a table lies with images of one's own."""
    return table.name in OWN_TABLES


def entity_set_of(table: Path) -> str:
    """The entity set that a table is of: the name of its folder, or its own."""
    return table.parent.name if is_own(table) else table.stem


def find_own_table(folder: Path) -> Path:
    """The table in a folder of one's own images. Raises `UserError` where it is not one file."""
    found = [folder / name for name in OWN_TABLES if (folder / name).is_file()]
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; put your images there, and their table.")
    if len(found) != 1:
        has = "both" if found else "neither"
        raise UserError(
            f"{folder} has {has} of {' and '.join(OWN_TABLES)}; put one of them beside the "
            "images, with a row for each."
        )
    return found[0]


def read_rows(table: Path) -> tuple[list[str], list[TableRow]]:
    """The columns and rows of a table, blank lines left out. A cell that a line of JSON leaves out
    is empty.

    Text is taken as composed Unicode (NFC), however its file writes accents, but for the names of
    one's own files, which the disk writes as it does; a mark at the file's beginning that it is
    UTF-8, as spreadsheets write it, is no part of it. Raises `UserError` naming table and row where
    it is missing or cannot be read as a table.
    """
    try:
        text = table.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{table} is missing; an entity set needs its table there.") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{table} is not in UTF-8; save it as CSV or JSON lines in UTF-8."
        ) from error
    columns, rows = _of_json(table, text) if table.suffix == ".jsonl" else _of_csv(table, text)
    names = [unicodedata.normalize("NFC", column) for column in columns]
    if not is_own(table):
        return names, [_composed(names, row) for row in rows]
    names = [ALIASES.get(name, name) for name in names]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{table}, row 1: two columns {name}; keep one.")
    return names, [_composed(names, row, "file") for row in rows]


def _composed(names: list[str], row: TableRow, *as_they_are: str) -> TableRow:
    """A row with its cells under other names, and composed."""
    cells = dict(zip(names, row.cells.values(), strict=True))
    return TableRow(
        row.line,
        {
            name: cell if name in as_they_are else unicodedata.normalize("NFC", cell)
            for name, cell in cells.items()
        },
    )


def _of_csv(table: Path, text: str) -> tuple[list[str], list[TableRow]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header, rows = next(reader, []), []
        for cells in filter(None, reader):
            if len(cells) != len(header):
                raise UserError(
                    f"{table}, row {reader.line_num}: {len(cells)} cells where the header has "
                    f"{len(header)}; quote cells that hold a comma."
                )
            rows.append((reader.line_num, cells))
    except csv.Error as error:
        raise UserError(
            f"{table}, row {reader.line_num} or before it: {error}; a cell in quotes ends with "
            "one, and writes a quote within it twice."
        ) from error
    for column in header:
        if not column or header.count(column) > 1:
            fault = "stands twice" if column else "has no name"
            raise UserError(f"{table}, row 1: column {column!r} {fault}; name each column once.")
    return header, [TableRow(line, dict(zip(header, cells, strict=True))) for line, cells in rows]


def _of_json(table: Path, text: str) -> tuple[list[str], list[TableRow]]:
    read = []
    for line, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        try:
            cells = json.loads(row)
        except json.JSONDecodeError as error:
            raise UserError(f"{table}, row {line} is not JSON ({error.msg}); mend it.") from error
        if not isinstance(cells, dict):
            raise UserError(f"{table}, row {line} is no JSON object; write one a line.")
        read.append((line, {name: _text(table, line, name, one) for name, one in cells.items()}))
    columns = list(dict.fromkeys(name for _, cells in read for name in cells))
    return columns, [
        TableRow(line, {name: cells.get(name, "") for name in columns}) for line, cells in read
    ]


def _text(table: Path, line: int, column: str, value: Any) -> str:
    """A JSON value as the text of a cell: what is no text or number cannot stand in a prompt."""
    if value is None:
        return ""
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise UserError(
        f"{table}, row {line}, column {column}: {value!r} is no text or number; write one, or "
        "leave the column out."
    )
