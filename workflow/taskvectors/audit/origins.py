"""Where pictures and labels are from, as the manifests and the entity tables say."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taskvectors.errors import UserError

MANIFEST = "manifest.csv"
TABLES = "resources/entities"


@dataclass(frozen=True)
class Picture:
    """One picture of a manifest. ``path`` is where it lies; ``source`` names its page, or the
    package, version and file that it was taken from; ``revision`` is the page's, or empty;
    ``free`` is False where Wikipedia says that the picture is not free."""

    entity_set: str
    entity: str
    path: Path
    sha256: str
    rendering: str
    title: str
    source: str
    url: str
    revision: str
    author: str
    licence: str
    licence_url: str
    free: bool

    @property
    def origin(self) -> str:
        """What pictures that came together have in common."""
        collection = self.source.partition(":")[0] if self.revision == "" else "Wikipedia"
        return f"{collection}, {self.author}, {self.licence}"


@dataclass(frozen=True)
class Label:
    """One label of an entity table, and who says so."""

    entity: str
    column: str
    label: str
    source: str
    method: str
    url: str


def is_manifest(path: str) -> bool:
    """Whether a recorded path is a manifest of pictures."""
    return PurePosixPath(path).name == MANIFEST


def is_entity_table(path: str) -> bool:
    """Whether a recorded path is a table of entities and labels."""
    place = PurePosixPath(path)
    return place.parent == PurePosixPath(TABLES) and place.stem != "dropped"


def read_pictures(manifest: Path) -> list[Picture]:
    """All pictures of a manifest. Raises `UserError` where it is missing, lacks a column or
    names a picture outside its folder."""
    folder = manifest.parent.resolve()
    pictures = []
    for row in read_rows(manifest):
        try:
            path = (folder / row["file"]).resolve()
            if not path.is_relative_to(folder):
                raise UserError(
                    f"{manifest} names {row['file']}, outside its folder; collect again."
                )
            pictures.append(_picture(row, path))
        except KeyError as error:
            raise UserError(f"{manifest} has no column {error}; collect again.") from error
    return pictures


def _picture(row: dict[str, str], path: Path) -> Picture:
    about = {
        "entity_set": row["entity_set"],
        "entity": row["entity"],
        "path": path,
        "sha256": row["sha256"],
        "rendering": row["rendering"],
        "author": row["author"],
        "licence": row["licence"],
        "licence_url": row["licence_url"],
    }
    if "file_page" in row:  # from Wikipedia
        title, source, url = row["wiki_file"], row["file_page"], row["file_page"]
        return Picture(
            title=title,
            source=source,
            url=url,
            revision=row["revision"],
            free=row["free"] == "True",
            **about,
        )
    return Picture(
        title=row["entity"],
        source=f"{row['package']} {row['version']}: {row['path']}",
        url=f"https://pypi.org/project/{row['package']}/{row['version']}/",
        revision="",
        free=True,
        **about,
    )


def read_labels(table: Path, columns: Iterable[str]) -> list[Label]:
    """The labels in ``columns`` of an entity table. Raises `UserError` where the table is missing
    or lacks a column."""
    rows = read_rows(table)
    try:
        return [
            Label(
                row["entity"],
                column,
                row[column],
                *(row[f"{column}_{about}"] for about in ("source", "method", "url")),
            )
            for column in columns
            for row in rows
        ]
    except KeyError as error:
        raise UserError(f"{table} has no column {error}; restore it.") from error


def read_rows(path: Path) -> list[dict[str, str]]:
    """A CSV file's rows. Raises `UserError` where it cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            return list(csv.DictReader(handle))
    except (FileNotFoundError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read ({error}); make or restore it.") from error
