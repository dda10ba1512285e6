"""The entity tables: what there is to ask about, and the labels.

They lie in ``resources/entities``, or in a folder of one's own images.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.study.rows import TableRow, entity_set_of, is_own, read_rows

IDENTITY_COLUMNS = ("entity", "title", "emoji")
OPTIONAL_COLUMNS = ("file",)
# What a table with one's own images may say of them besides; none of it needs be known.
OWN_COLUMNS = ("author", "licence", "source")
TEXT = "text"
MAY_BE_EMPTY = ("emoji", "file")
MAY_BE_EMPTY_IN_OWN = (*MAY_BE_EMPTY, "title", TEXT, *OWN_COLUMNS)
MOST_CHARACTERS = 200  # of a slug: a file name has at most 255, with its ending and the like
JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))  # unseen, and part of some emoji and scripts


@dataclass(frozen=True)
class Entity:
    """One row of an entity table; ``labels`` maps a label column to its value.

    ``file`` names an image file on Wikipedia to take in place of the article's own. ``text`` is
    what stands in prompts in place of the name, where a table of one's own has it: a description.
    """

    name: str
    entity_set: str
    title: str
    emoji: str
    labels: dict[str, str]
    file: str = ""
    text: str = ""

    @property
    def slug(self) -> str:
        """The entity's name as a file name: lower-case ASCII letters, digits and dashes."""
        return slugify(self.name)


def slugify(name: str) -> str:
    """Turn a name into a safe file name, e.g. ``São Tomé`` into ``sao-tome``.

    Letters without an ASCII form become their code point in hexadecimal, so that no two
    different letters share a slug by being dropped. Raises `UserError` if nothing is left, or more
    than a file name can have.
    """
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(char for char in plain if not unicodedata.combining(char))
    plain = "".join(
        char if char.isascii() or not char.isalnum() else f"-{ord(char):x}-" for char in plain
    )
    slug = re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
    if not slug:
        raise UserError(f"the name {name!r} has no letter or digit; give the entity another name.")
    if len(slug) > MOST_CHARACTERS:
        raise UserError(f"the name {name!r} is too long for a file's; shorten it.")
    return slug


def read_entities(path: Path) -> list[Entity]:
    """Read and check one entity table.

    Cells are taken as composed Unicode (NFC), however their file writes accents. Raises
    `UserError` naming file, row (the line in the file) and column for a duplicate entity, an
    empty label, a cell with stray spaces or characters that nobody sees, a row with too many or
    few cells, and a file that is no table.
    """
    header, rows = read_rows(path)
    _check_header(path, header)
    label_columns = [name for name in header if _is_label(path, name)]
    seen: dict[str, int] = {}
    entities = []
    for row in rows:
        _check_cells(path, row)
        entity = Entity(
            name=row.cells["entity"],
            entity_set=entity_set_of(path),
            title=row.cells.get("title", ""),
            emoji=row.cells.get("emoji", ""),
            labels={column: row.cells[column] for column in label_columns},
            file="" if is_own(path) else row.cells.get("file", "").removeprefix("File:"),
            text=row.cells.get(TEXT, "") if is_own(path) else "",
        )
        if entity.slug in seen:
            raise UserError(
                f"{path}, row {row.line}, column entity: {entity.name!r} stands already in row "
                f"{seen[entity.slug]}; keep one of the two."
            )
        seen[entity.slug] = row.line
        entities.append(entity)
    return entities


def digest(path: Path, labels: Iterable[str] = ()) -> str:
    """A hash of what one task takes of an entity table: the entities, and its own label columns.

    It says whether that changed, not whether it is right: whoever reads the table checks it.
    """
    _, rows = read_rows(path)
    kept = (*IDENTITY_COLUMNS, *OPTIONAL_COLUMNS, *((TEXT,) if is_own(path) else ()), *labels)
    cells = [[row.cells.get(column) for column in kept] for row in rows]
    return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]


def _is_label(path: Path, column: str) -> bool:
    about = ("_source", "_method", "_url")
    known = (*IDENTITY_COLUMNS, *OPTIONAL_COLUMNS, *((TEXT, *OWN_COLUMNS) if is_own(path) else ()))
    return column not in known and not column.endswith(about)


def _check_header(path: Path, header: list[str]) -> None:
    if len(header) == 1 and (parted := re.search("[;\t|]", header[0])):
        raise UserError(
            f"{path}, row 1: columns are parted by {parted[0]!r}; save the table with commas."
        )
    for column in ("entity", "file") if is_own(path) else IDENTITY_COLUMNS:
        if column not in header:
            raise UserError(f"{path}, row 1: column {column} is missing; the header needs it.")


def _check_cells(path: Path, row: TableRow) -> None:
    may_be_empty = MAY_BE_EMPTY_IN_OWN if is_own(path) else MAY_BE_EMPTY
    for column, value in row.cells.items():
        place = f"{path}, row {row.line}, column {column}"
        about = is_own(path) and column.endswith(("_source", "_method", "_url"))
        if not value and column not in may_be_empty and not about:
            raise UserError(f"{place}: the cell is empty; fill it.")
        if value != " ".join(value.split()):
            raise UserError(f"{place}: {value!r} has stray spaces; remove them.")
        if not value.translate(JOINERS).isprintable():
            raise UserError(f"{place}: {value!r} has characters that are not seen; remove them.")
