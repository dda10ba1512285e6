"""The rows of entity tables as text, before anything is made of them.

A table is ``resources/entities/<entity set>.csv``, or the ``metadata.csv`` or ``metadata.jsonl``
in a folder of one's own images, which has the entity set's name. The latter is what Hugging Face's
imagefolder has, too, whose names of columns are taken as well.
"""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_text
from taskvectors.base.strict_json import number_of, parse_json

OWN_TABLES = ("metadata.csv", "metadata.jsonl")
# What imagefolder reads besides those, and all of which it reads in the folders below, too.
OTHER_TABLES = ("metadata.parquet",)
# Other people's names of our columns.
ALIASES = {"file_name": "file", "license": "licence"}
# How Hugging Face's imagefolder names columns of more pictures of a row.
PICTURES = re.compile("(.*_)?file_names?")


class Number(str):
    """A number of a cell in JSON, as it is written."""


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
    """The table in a folder of one's own images.

    Raises `UserError` where it is not one file, or a folder below has another.
    """
    found = [folder / name for name in OWN_TABLES if (folder / name).is_file()]
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; put your images there, and their table.")
    if len(found) != 1:
        has = "both" if found else "neither"
        raise UserError(
            f"{folder} has {has} of {' and '.join(OWN_TABLES)}; put one of them beside the "
            "images, with a row for each."
        )
    for name in (*OWN_TABLES, *OTHER_TABLES):
        for other in sorted(folder.rglob(name)):
            hidden = any(part.startswith(".") for part in other.relative_to(folder).parts)
            if other != found[0] and not hidden:
                raise UserError(
                    f"{other} is a second table, whose rows {found[0]} has not; put them there, "
                    "or move it out of the folder."
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
    text = read_text(table, missing="an entity set needs its table there")
    columns, rows = _of_json(table, text) if table.suffix == ".jsonl" else _of_csv(table, text)
    names = [unicodedata.normalize("NFC", column) for column in columns]
    if not is_own(table):
        return names, [_composed(names, row) for row in rows]
    names = [ALIASES.get(name, name) for name in names]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{table}, row 1: two columns {name}; keep one.")
        if not name.strip():
            raise UserError(f"{table}, row 1: a column has no name; name it.")
        if PICTURES.fullmatch(name):
            raise UserError(
                f"{table}, row 1: column {name} names pictures and is no label; a row has one "
                "picture, its file, so take that column out."
            )
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
            cells = parse_json(row, number=Number)
        except ValueError as error:
            raise UserError(f"{table}, row {line} is not JSON ({error}); mend it.") from error
        if not isinstance(cells, dict):
            raise UserError(f"{table}, row {line} is no JSON object; write one a line.")
        read.append((line, {name: _text(table, line, name, one) for name, one in cells.items()}))
    columns = list(dict.fromkeys(name for _, cells in read for name in cells))
    return columns, [
        TableRow(line, {name: cells.get(name, "") for name in columns}) for line, cells in read
    ]


def _text(table: Path, line: int, column: str, value: Any) -> str:
    """A JSON value as the text of a cell, a number as it is written: what is no text or number
    cannot stand in a prompt."""
    place = f"{table}, row {line}, column {column}"
    match value:
        case None:
            return ""
        case Number():
            _check_number(place, value)
            return str(value)
        case str():
            return value
    raise UserError(f"{place}: {value!r} is no text or number; write one, or leave the column out.")


def _check_number(place: str, text: Number) -> None:
    """Raise `UserError` where a number is none, or not as a person would write it."""
    try:
        value = number_of(text)
    except ValueError as error:
        raise UserError(f"{place}: {error}; leave the cell out, or write a text.") from error
    if isinstance(value, float) and value.is_integer():
        raise UserError(
            f"{place}: {text} is the whole number {int(value)}, as a data frame with missing cells "
            f'writes it; write {int(value)}, or "{text}" if that is meant.'
        )
