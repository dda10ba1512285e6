"""Where images and labels are from, as the manifests and the entity tables say."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taskvectors.base.errors import UserError

MANIFEST = "manifest.csv"
TABLES = "resources/entities"


@dataclass(frozen=True)
class CollectedImage:
    """One image of a manifest. ``path`` is where it lies; ``source`` names its page, or the
    package, version and file that it was taken from; ``revision`` is the page's, or empty;
    ``free`` is False where Wikipedia says that the image is not free."""

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
        """What images that came together have in common."""
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
    """Whether a recorded path is a manifest of images."""
    return PurePosixPath(path).name == MANIFEST


def is_entity_table(path: str) -> bool:
    """Whether a recorded path is a table of entities and labels."""
    place = PurePosixPath(path)
    return place.parent == PurePosixPath(TABLES) and place.stem != "dropped"


def read_images(manifest: Path) -> list[CollectedImage]:
    """All images of a manifest. Raises `UserError` where it is missing, lacks a column or
    names an image outside its folder."""
    folder = manifest.parent.resolve()
    images = []
    for row in read_rows(manifest):
        try:
            path = (folder / row["file"]).resolve()
            if not path.is_relative_to(folder):
                raise UserError(
                    f"{manifest} names {row['file']}, outside its folder; collect again."
                )
            images.append(_image(row, path))
        except KeyError as error:
            raise UserError(f"{manifest} has no column {error}; collect again.") from error
    return images


def _image(row: dict[str, str], path: Path) -> CollectedImage:
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
        return CollectedImage(
            title=title,
            source=source,
            url=url,
            revision=row["revision"],
            free=row["free"] == "True",
            **about,
        )
    return CollectedImage(
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
