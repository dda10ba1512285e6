"""Manifests: where each collected image lies, where it is from, and under which licence."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from taskvectors.base.errors import UserError
from taskvectors.base.files import lies_in, read_text

MANIFEST = "manifest.csv"
TAKEN = ("entity_set", "entity", "sha256", "rendering", "author", "licence")
NOT_STATED = "not stated"


@dataclass(frozen=True)
class CollectedImage:
    """One image of a manifest. ``path`` is where it lies, from where the manifest was named;
    ``source`` names its page, or the package and version, or the folder, and the file that it was
    taken from; ``revision`` is the page's, or empty; ``author`` and ``licence`` are empty where
    they are not known; ``free`` is False where Wikipedia says that the image is not free."""

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
        stated = (self.author or f"author {NOT_STATED}", self.licence or f"licence {NOT_STATED}")
        return ", ".join([collection, *stated])


def is_manifest(path: str) -> bool:
    """Whether a path is that of a manifest."""
    return PurePosixPath(path).name == MANIFEST


def read_manifest(manifest: Path, entity_set: str | None = None) -> list[CollectedImage]:
    """The images of a manifest, of one entity set where it is named.

    Raises `UserError` where the manifest is missing, lacks a column or names an image outside
    its folder.
    """
    try:
        images = [_image(manifest, row) for row in read_csv(manifest, "file", *TAKEN)]
    except KeyError as error:
        raise UserError(f"{manifest} has no column {error}; collect again.") from error
    return [image for image in images if entity_set in (None, image.entity_set)]


def read_csv(path: Path, *columns: str) -> list[dict[str, str]]:
    """A CSV file's rows as text.

    Raises `UserError` where it cannot be read, lacks one of the ``columns``, or has a row of more
    or fewer cells than its header.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise UserError(f"{path} is no table ({error}); make or restore it.") from error
    for column in columns:
        if column not in (reader.fieldnames or ()):
            raise UserError(f"{path} has no column {column!r}; make or restore it.")
    for number, row in enumerate(rows, start=1):
        if None in row or None in row.values():
            raise UserError(
                f"{path}: entry {number} has more or fewer cells than the header; make or restore "
                "it."
            )
    return rows


def _image(manifest: Path, row: dict[str, str]) -> CollectedImage:
    path = manifest.parent / row["file"]
    if not lies_in(path, manifest.parent):
        raise UserError(f"{manifest} names {row['file']}, outside its folder; collect again.")
    if "file_page" in row:  # from Wikipedia
        title, source, url = row["wiki_file"], row["file_page"], row["file_page"]
        revision, free, licence_url = row["revision"], row["free"] == "True", row["licence_url"]
    elif "folder" in row:  # of one's own
        title, source = row["entity"], f"{row['folder']}: {row['path']}"
        linked = row["source"].startswith(("https://", "http://"))
        url = row["source"] if linked else ""
        source += f" ({row['source']})" if row["source"] and not linked else ""
        revision, free, licence_url = "", True, ""
    else:
        title, source = row["entity"], f"{row['package']} {row['version']}: {row['path']}"
        url = f"https://pypi.org/project/{row['package']}/{row['version']}/"
        revision, free, licence_url = "", True, row["licence_url"]
    taken = {column: row[column] for column in TAKEN}
    return CollectedImage(
        path=path,
        title=title,
        source=source,
        url=url,
        revision=revision,
        free=free,
        licence_url=licence_url,
        **taken,
    )
