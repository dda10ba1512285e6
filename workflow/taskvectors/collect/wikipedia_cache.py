"""What was fetched, kept on disk so that no request is ever made twice.

The folder outlives failed jobs and is shared by all experiments. Names in it are hashes, never
titles. Each record is written whole, as soon as its answer is complete.
"""

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_json, written_whole


@dataclass(frozen=True)
class Article:
    """A page as it was: ``asked`` is our title, ``title`` the page's own after redirects, of which
    ``section`` is the section that one of them leads to.

    ``file`` is its lead image (no namespace; empty if none) and ``method`` how that was found;
    ``labels`` is what its infobox says; ``missing`` is why there is no page, or none of its own.
    """

    asked: str
    title: str = ""
    redirects: list[str] = field(default_factory=list)
    section: str = ""
    page_id: int = 0
    revision: int = 0
    revision_time: str = ""
    file: str = ""
    method: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class WikiFile:
    """An image file as its page describes it; ``sha1`` is the original's, sizes in pixels."""

    name: str
    url: str = ""
    original_url: str = ""
    page_url: str = ""
    sha1: str = ""
    mime: str = ""
    width: int = 0
    height: int = 0
    author: str = ""
    licence: str = ""
    licence_url: str = ""
    attribution_required: bool = True
    free: bool = True
    missing: str = ""


@dataclass(frozen=True)
class Download:
    """One fetched image: the SHA-256 of its bytes, or why they were refused."""

    url: str
    sha1: str
    retrieved: str
    sha256: str = ""
    refused: str = ""


Kept = TypeVar("Kept", Article, WikiFile, Download)


class Cache:
    """The folder. ``source`` (the API's address) keeps different wikis apart."""

    def __init__(self, folder: Path, source: str) -> None:
        self.folder = folder
        self.source = source

    @contextmanager
    def only_one(self) -> Iterator[None]:
        """Hold the folder, so that two collections never ask Wikipedia at the same time.

        The system lets go of it when this process ends, however it ends. Raises `UserError`
        where another process has it.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise UserError(
                    f"another collection is running with {self.folder}; wait until it ends, "
                    "Wikipedia asks for one request at a time."
                ) from error
            yield

    def read(self, kind: type[Kept], *key: str) -> Kept | None:
        """The record kept under ``key``; None where there is none, or one that lacks what is
        recorded today."""
        path = self._path(kind, key, ".json")
        if not path.is_file():
            return None
        try:
            kept = read_json(path)
            record = kind(**kept)
        except TypeError as error:
            raise UserError(
                f"{path} is from another version of this project; delete that folder."
            ) from error
        return record if {one.name for one in fields(kind)} <= set(kept) else None

    def write(self, record: Kept, *key: str) -> None:
        """Keep ``record`` under ``key``."""
        write_json(self._path(type(record), key, ".json"), asdict(record))

    def bytes_path(self, url: str, sha1: str) -> Path:
        """Where the bytes of a download are kept."""
        return self._path(Download, (url, sha1), ".bytes")

    def write_bytes(self, url: str, sha1: str, body: bytes) -> None:
        """Keep a download's bytes."""
        with written_whole(self.bytes_path(url, sha1)) as temporary:
            temporary.write_bytes(body)

    def _path(self, kind: type, key: tuple[str, ...], ending: str) -> Path:
        digest = hashlib.sha256("\n".join((self.source, *key)).encode()).hexdigest()
        return self.folder / kind.__name__.lower() / digest[:2] / f"{digest[:40]}{ending}"


def changes(old: Kept, new: Kept) -> list[str]:
    """What differs between two states of a page or file, e.g. ``revision 12 -> 15``."""
    before, after = asdict(old), asdict(new)
    return [f"{k} {before[k]!r} -> {after[k]!r}" for k in before if before[k] != after[k]]
