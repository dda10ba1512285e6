"""Weights from outside are kept by their revision, where no rule owns them.

``results/cache/models/<name>/<revision>/`` has a checkpoint's files for all experiments, and
``<revision>.json`` beside it lists them. A file that was seen to be what it should be is listed
with its hash, size and time of change; the folder is whole once all are. What was interrupted goes
on with the other files. Nothing is written where the folder is whole, so that it can be shared
read-only.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from taskvectors.base.files import (
    folder_written_whole,
    listing_hash,
    read_json,
    sha256,
    write_json,
    written_whole,
)
from taskvectors.record.provenance import files_below, kept_listing, stat_of

KEPT = Path("results/cache/models")
Listing = dict[str, dict[str, Any]]  # files by name: `sha256`, `size` and, once seen, `mtime_ns`


def kept_place(source: dict[str, str], cache: Path) -> Path:
    """Where a source's files are kept; a source is its ``hub`` or ``folder``, and ``revision``."""
    name = source["hub"].replace("/", "--") if "hub" in source else "folders"
    return cache / name / source["revision"]


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


def adopt(out: Path, revision: str | None, cache: Path = KEPT) -> None:
    """Keep what a version before this module put into ``out`` itself, and make that links.

    Nothing is done where ``out`` is not that revision, or links already.
    """
    place = out / "source.json"
    source = read_json(place) if place.is_file() else {}
    files = [file for file in files_below(out) if file != place and ".cache" not in file.parts]
    if revision is None or source.get("revision") != revision or any(map(Path.is_symlink, files)):
        return
    kept = kept_place(source, cache)
    if not is_whole(kept):
        listing = {}
        for file in files:
            name = file.relative_to(out).as_posix()
            with written_whole(kept / name) as copied:
                shutil.copy2(file, copied)
            listing[name] = {"sha256": sha256(kept / name), **stat_of(kept / name)}
        write_listing(kept, listing)
    link(kept, out, source)
