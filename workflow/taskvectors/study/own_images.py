"""Folders of one's own images: which file shows which entity, and what is known of it."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

from taskvectors.base.errors import UserError
from taskvectors.study.entities import OWN_COLUMNS, read_entities, slugify
from taskvectors.study.rows import TableRow, entity_set_of, find_own_table, read_rows

MOST_NAMED = 20  # of what is wrong at once
# Characters of all paths together: they stand in the job's command, of which Linux takes 131072.
MOST_PATHS = 100_000


@dataclass(frozen=True)
class OwnImage:
    """One image of a folder: ``file`` is its place there, ``path`` where that is, ``row`` the line
    of the table. What is empty of author, licence and source is not known."""

    entity: str
    file: str
    path: Path
    row: int
    author: str
    licence: str
    source: str


def read_own_images(table: Path) -> list[OwnImage]:
    """The images that a folder's table names; a row without a file has none.

    Raises `UserError` naming each row whose file is missing or lies outside the folder, or whose
    entity stands there twice.
    """
    columns, rows = read_rows(table)
    for column in ("entity", "file"):
        if column not in columns:
            raise UserError(
                f"{table}, row 1: column {column} is missing; the header needs it, and has "
                f"{', '.join(columns) or 'none'}."
            )
    faults, images = [], []
    seen: dict[str, int] = {}
    for row in rows:
        entity, file = row.cells["entity"], row.cells["file"]
        slug = slugify(entity)
        if slug in seen:
            faults.append(f"row {row.line}: {entity!r} stands already in row {seen[slug]}")
        seen[slug] = row.line
        if file:
            fault = _fault(table.parent, file)
            faults += [f"row {row.line}: {file} {fault}"] if fault else []
            images.append(_own_image(table, row))
    raise_all(table, faults, "mend these rows, or take them out")
    return images


def raise_all(table: Path, faults: list[str], remedy: str) -> None:
    """Raise `UserError` with all that is wrong in a table, one a line, where anything is."""
    if not faults:
        return
    more = len(faults) - MOST_NAMED
    shown = [*faults[:MOST_NAMED], *([f"and {more} more"] if more > 0 else [])]
    raise UserError(f"{table}: {remedy}:", *shown)


def _own_image(table: Path, row: TableRow) -> OwnImage:
    file = PurePosixPath(row.cells["file"]).as_posix()
    about = {column: row.cells.get(column, "") for column in OWN_COLUMNS}
    return OwnImage(row.cells["entity"], file, table.parent / file, row.line, **about)


def _fault(folder: Path, file: str) -> str | None:
    """What is wrong with a file's place, in a few words."""
    if not file.isprintable() or set(file) & set("{}"):
        return "has a brace or a control character in its name"
    path = folder / file
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
        found = path.is_file()
    except (OSError, RuntimeError) as error:  # too long a name; links in a circle
        return (
            f"cannot be opened ({getattr(error, 'strerror', None) or 'its links go in a circle'})"
        )
    if PurePosixPath(file).is_absolute() or not inside:
        return f"lies outside {folder}"
    if found:
        return None
    return "is missing; write / between folders, not \\" if "\\" in file else "is missing"


def own_tables(folders: list[str], root: Path) -> dict[str, Path]:
    """Entity sets to the tables of their folders, relative to ``root``.

    Raises `UserError` for a folder outside the root or without a table, and for two of one name.
    """
    tables: dict[str, Path] = {}
    for folder in folders:
        if ".." in PurePosixPath(folder).parts:
            raise UserError(
                f"the configuration's own_images: {folder} is outside the repository; name a "
                "folder, or a link to one, below its root."
            )
        table = find_own_table(root / folder).relative_to(root)
        name = entity_set_of(table)
        if name in tables:
            raise UserError(
                f"the configuration's own_images: {tables[name].parent} and {folder} have one "
                "name, and so one entity set; rename one."
            )
        tables[name] = table
    return tables


def check_own_images(table: Path, labels: Path) -> None:
    """Hold a folder's table to the table that has its entity set's labels, itself or another.

    Raises `UserError` naming each row with an entity that is not there, and where there are more
    images than one job's command can name.
    """
    images = read_own_images(table)
    length = sum(len(image.path.as_posix()) + 3 for image in images)
    if length > MOST_PATHS:
        raise UserError(
            f"{table} names {len(images)} images, more than one job can be told of; keep about "
            f"{len(images) * MOST_PATHS // length} rows."
        )
    known = {entity.name for entity in read_entities(labels)}
    faults = []
    for image in images:
        if image.entity not in known:
            near = get_close_matches(image.entity, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            faults.append(f"row {image.row}: {image.entity!r} is not in {labels}{hint}")
    raise_all(table, faults, "mend these names")
