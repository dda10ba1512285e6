"""Weights from outside are kept by their revision, where no rule owns them.

``results/cache/models/<name>/<revision>/`` has a checkpoint's files for all experiments, and
``<revision>.json`` beside it lists them. A file that was seen to be what it should be is listed
with its hash, size and time of change; the folder is whole once all are. What was interrupted goes
on with the other files. Nothing is written where the folder is whole, so that it can be shared
read-only.
"""

import os
from pathlib import Path
from typing import Any

from taskvectors.base.files import (
    folder_written_whole,
    listing_hash,
    read_json,
    sha256,
    write_json,
)
from taskvectors.record.provenance import kept_listing, stat_of

KEPT = Path("results/cache/models")
Listing = dict[str, dict[str, Any]]  # files by name: `sha256`, `size` and, once seen, `mtime_ns`


def read_listing(kept: Path) -> Listing:
    """What is known of the files of a folder; empty where nothing is."""
    path = kept_listing(kept)
    return read_json(path) if path.is_file() else {}


def write_listing(kept: Path, listing: Listing) -> None:
    """Write it beside the folder."""
    write_json(kept_listing(kept), listing)


def is_kept(file: Path, known: dict[str, Any]) -> bool:
    """Whether a file was seen to be what it should be, and is so still."""
    if "mtime_ns" not in known or not file.is_file():
        return False
    stat = stat_of(file)
    if stat["size"] != known["size"]:
        return False
    return stat["mtime_ns"] == known["mtime_ns"] or sha256(file) == known["sha256"]


def is_whole(kept: Path) -> bool:
    """Whether every file of a checkpoint is there as it should be; needs no network."""
    listing = read_listing(kept)
    return bool(listing) and all(is_kept(kept / name, known) for name, known in listing.items())


def kept_hash(kept: Path) -> str:
    """The hash of a whole folder, from its files' hashes."""
    return listing_hash({name: known["sha256"] for name, known in read_listing(kept).items()})


def link(kept: Path, out: Path, source: dict[str, str]) -> None:
    """Make ``out`` a folder of links to the files of a whole folder, with ``source.json``."""
    with folder_written_whole(out) as linked:
        for name in read_listing(kept):
            place = linked / name
            place.parent.mkdir(parents=True, exist_ok=True)
            # To where the file really is, from where the link really is: either may lie elsewhere.
            there = os.path.relpath((kept / name).resolve(), place.parent.resolve())
            place.symlink_to(there)
        write_json(linked / "source.json", source)
