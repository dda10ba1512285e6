"""Records: for every output a file that says how it came about and what its bytes were.

The record of ``results/<experiment>/<output>`` is
``results/<experiment>/records/<output>.json`` (workflow/schemas/record.schema.yaml). All paths
are relative to the repository's root, in which the commands run.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.files import listing_hash, read_json, sha256

SCHEMA = 1
RECORDS = "records"
IGNORED = {".snakemake_timestamp"}  # Snakemake puts one into every folder that it made
# Inputs up to this size are hashed before every use. A larger one is taken by its size and time
# of change where these are still its record's: hashing a model's weights before each job would
# cost more than loading them. (Snakemake touches single files after their job, so that in effect
# only large files in folders, the weights, are taken so.)
ALWAYS_HASHED = 16 * 2**20  # bytes

REVISION = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")  # of a hub, or a folder's hash


class NewerSchemaError(UserError):
    """A record that a newer version of the workflow wrote."""


def inside(path: str | Path, root: Path = Path()) -> str:
    """``path`` relative to the root, POSIX. Raises `UserError` where it lies outside."""
    place = Path(os.path.relpath(root / path, root))
    if place.is_absolute() or ".." in place.parts:
        raise UserError(f"{path} is outside the repository; name a file below its root.")
    return place.as_posix()


def record_path(output: str) -> Path:
    """Where the record of an output stands. Raises `UserError` for what is no result."""
    parts = Path(output).parts
    if len(parts) < 3 or parts[0] != "results":
        raise UserError(f"{output} has no record: only files in results/<experiment>/ have one.")
    return Path(*parts[:2], RECORDS, *parts[2:-1], f"{parts[-1]}.json")


def read_record(path: Path) -> dict[str, Any]:
    """A record. Raises `UserError` where it is damaged, `NewerSchemaError` where it is newer."""
    record = read_json(path)
    if not isinstance(record, dict) or not isinstance(record.get("schema"), int):
        raise UserError(f"{path} is not a record; delete it and its output and run again.")
    if record["schema"] > SCHEMA:
        raise NewerSchemaError(
            f"{path} is a record of schema {record['schema']}, but this code knows only up to "
            f"{SCHEMA}; use the version of the workflow that wrote it, or a newer one."
        )
    return record


def pinned(params: dict[str, Any]) -> bool:
    """Whether a job's output is what a revision names, whatever code brought it here."""
    return "revision" in params


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, sorted, but those that Snakemake keeps there."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return iter(sorted(path for path in found if path.name not in IGNORED))


def stat_of(path: Path) -> dict[str, int]:
    """Size in bytes and time of the last change in nanoseconds."""
    found = path.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def kept_listing(kept: Path) -> Path:
    """What is known of the files of a folder that is kept for all experiments (prepare/keep.py)."""
    return kept.parent / f"{kept.name}.json"


def content_hash(file: Path) -> str:
    """A file's SHA-256: of a link to a kept one as it is listed there, so that weights are not read
    again for each experiment, provided that size and time are as listed; else read."""
    if file.is_symlink():
        real = file.resolve()
        for folder in real.parents:
            if REVISION.fullmatch(folder.name) and kept_listing(folder).is_file():
                listing = read_json(kept_listing(folder))
                known = listing.get(real.relative_to(folder).as_posix(), {})
                if stat_of(real).items() <= known.items():
                    return known["sha256"]
    return sha256(file)


def describe(path: Path) -> dict[str, Any]:
    """What a record's ``output`` says of a file or folder, but its path.

    A folder has ``files`` as well; its hash is that of the sorted lines
    ``sha256  relative path``, its size the sum.
    """
    if not path.is_dir():
        return {"sha256": sha256(path), **stat_of(path)}
    files: dict[str, dict[str, Any]] = {
        file.relative_to(path).as_posix(): {"sha256": content_hash(file), **stat_of(file)}
        for file in files_below(path)
    }
    return {
        "sha256": listing_hash({name: file["sha256"] for name, file in files.items()}),
        "size": sum(file["size"] for file in files.values()),
        "mtime_ns": path.stat().st_mtime_ns,
        "files": files,
    }


def check_input(path: str, root: Path = Path()) -> dict[str, Any]:
    """What a record's ``inputs`` say of an input, after it was held to its own record.

    Raises `UserError` naming the file where it is missing or not what was recorded when it
    was made. Whatever has no record is hashed and believed.
    """
    place = root / path
    if not place.exists():
        raise UserError(f"the input {path} is missing; run the workflow, which makes it again.")
    kept = root / record_path(path) if path.startswith("results/") else None
    if kept is None or not kept.is_file():
        found = describe(place)
    else:
        found = read_record(kept)["output"]
        recorded = found.get("files", {".": found})
        present = files_below(place) if place.is_dir() else [place]
        names = {file.relative_to(place).as_posix() for file in present}
        for name in sorted(names | set(recorded)):
            if what := _changed(place / name, recorded.get(name)):
                again = f"delete {path}, so that the next run makes it again"
                raise UserError(f"{place / name} {what}; {again}.")
    return {"path": path, "sha256": found["sha256"], "size": found["size"]}


def _changed(file: Path, known: dict[str, Any] | None) -> str | None:
    """What is wrong with an input's file, if anything; a large one of the same stat is believed."""
    if known is None:
        return "was not there when its folder was made"
    if not file.is_file():
        return "is missing since its folder was made"
    stat = stat_of(file)
    same = all(stat[name] == known[name] for name in stat)
    if (same and stat["size"] > ALWAYS_HASHED) or sha256(file) == known["sha256"]:
        return None
    return "is not what it was when it was made (its bytes have changed)"
