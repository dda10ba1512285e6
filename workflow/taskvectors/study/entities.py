"""The entity tables in ``resources/entities``: what there is to ask about, and the labels."""

import csv
import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taskvectors.base.errors import UserError

IDENTITY_COLUMNS = ("entity", "title", "emoji")
OPTIONAL_COLUMNS = ("file",)
MAY_BE_EMPTY = ("emoji", "file")
JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))  # unseen, and part of some emoji and scripts


@dataclass(frozen=True)
class Entity:
    """One row of an entity table; ``labels`` maps a label column to its value.

    ``file`` names an image file on Wikipedia to take in place of the article's own.
    """

    name: str
    entity_set: str
    title: str
    emoji: str
    labels: dict[str, str]
    file: str = ""

    @property
    def slug(self) -> str:
        """The entity's name as a file name: lower-case ASCII letters, digits and dashes."""
        return slugify(self.name)


def slugify(name: str) -> str:
    """Turn a name into a safe file name, e.g. ``São Tomé`` into ``sao-tome``.

    Letters without an ASCII form become their code point in hexadecimal, so that no two
    different letters share a slug by being dropped. Raises `UserError` if nothing is left.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = "".join(
        char if char.isascii() or not char.isalnum() else f"-{ord(char):x}-" for char in plain
    )
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if not slug:
        raise UserError(f"the name {name!r} has no letter or digit; give the entity another name.")
    return slug


def read_entities(path: Path) -> list[Entity]:
    """Read and check one entity table; its file name without ``.csv`` is the entity set.

    Cells are taken as composed Unicode (NFC), however their file writes accents. Raises
    `UserError` naming file, row (the line in the file) and column for a duplicate entity, an
    empty label, a cell with stray spaces or characters that nobody sees, a row with too many or
    few cells, and a file that is no table.
    """
    header, rows = _read(path)
    _check_header(path, header)
    label_columns = [name for name in header if _is_label(name)]
    seen: dict[str, int] = {}
    entities = []
    for line, cells in rows:
        if len(cells) != len(header):
            raise UserError(
                f"{path}, row {line}: {len(cells)} cells where the header has {len(header)}; "
                "quote cells that hold a comma."
            )
        row = dict(zip(header, cells, strict=True))
        _check_cells(path, line, row)
        entity = Entity(
            name=row["entity"],
            entity_set=path.stem,
            title=row["title"],
            emoji=row["emoji"],
            labels={column: row[column] for column in label_columns},
            file=row.get("file", "").removeprefix("File:"),
        )
        if entity.slug in seen:
            raise UserError(
                f"{path}, row {line}, column entity: {entity.name!r} stands already in row "
                f"{seen[entity.slug]}; keep one of the two."
            )
        seen[entity.slug] = line
        entities.append(entity)
    return entities


def digest(path: Path, labels: Iterable[str] = ()) -> str:
    """A hash of what one task takes of an entity table: the entities, and its own label columns.

    It says whether that changed, not whether it is right: whoever reads the table checks it.
    """
    header, lines = _read(path)
    kept = (*IDENTITY_COLUMNS, *OPTIONAL_COLUMNS, *labels)
    rows = [dict(zip(header, cells, strict=False)) for _, cells in lines]
    names = [name for name in header if _is_label(name)]
    said = [names, [[row.get(column) for column in kept] for row in rows]]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


def _read(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header, and each other row that is not blank with its line in the file.

    A mark at the file's beginning that it is UTF-8, as spreadsheets write it, is no part of it.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            header = _composed(next(reader, []))
            return header, [(reader.line_num, _composed(row)) for row in reader if row]
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; an entity set needs its table there.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8; save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise UserError(
            f"{path}, row {reader.line_num} or before it: {error}; a cell in quotes ends with one, "
            "and writes a quote within it twice."
        ) from error


def _composed(cells: list[str]) -> list[str]:
    return [unicodedata.normalize("NFC", cell) for cell in cells]


def _is_label(column: str) -> bool:
    about = ("_source", "_method", "_url")
    known = (*IDENTITY_COLUMNS, *OPTIONAL_COLUMNS)
    return column not in known and not column.endswith(about)


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) == 1 and (parted := re.search("[;\t|]", header[0])):
        raise UserError(
            f"{path}, row 1: columns are parted by {parted[0]!r}; save the table with commas."
        )
    for column in IDENTITY_COLUMNS:
        if column not in header:
            raise UserError(f"{path}, row 1: column {column} is missing; the header needs it.")
    for column in header:
        if not column or header.count(column) > 1:
            fault = "stands twice" if column else "has no name"
            raise UserError(f"{path}, row 1: column {column!r} {fault}; name each column once.")


def _check_cells(path: Path, line: int, row: dict[str, str]) -> None:
    for column, value in row.items():
        place = f"{path}, row {line}, column {column}"
        if not value and column not in MAY_BE_EMPTY:
            raise UserError(f"{place}: the cell is empty; fill it.")
        if value != " ".join(value.split()):
            raise UserError(f"{place}: {value!r} has stray spaces; remove them.")
        if not value.translate(JOINERS).isprintable():
            raise UserError(f"{place}: {value!r} has characters that are not seen; remove them.")
