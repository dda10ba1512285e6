"""``python -m taskvectors.audit verify``: rehash an experiment and name what is not as recorded.

Every output and input is read in full. Named are files that were changed, are missing or have
no record, and those whose record no longer matches its inputs, code or configuration: one line
each, with a remedy. The exit status is 0 only if all is well.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from taskvectors.audit.settings import (
    Settings,
    changed_settings,
    code_of,
    present_settings,
)
from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.base.progress import start_logging, track
from taskvectors.base.schemas import check
from taskvectors.record.provenance import (
    RECORDS,
    files_below,
    listing_hash,
    read_record,
    record_path,
)

# Made after the run, from what it left; what jobs took; and finished parts, which carry hashes
# of their own.
UNRECORDED, MEASURED, PARTS = {"report.html"}, "benchmarks", "parts"
# Of these inputs only what a param says counts for a job: a task's line, the labels of a column.
TASKS, TABLES = "resources/tasks.yaml", "resources/entities"
SAID_BY_PARAMS = {TASKS: {"label", "instruction", "tokens"}, TABLES: {"labels", "entities"}}


@dataclass(frozen=True)
class Finding:
    """A file that is not what it should be, and what to do about it."""

    path: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.what}; {self.remedy}."


@dataclass
class Disk:
    """The hashes of what is on disk now, each file read once. Paths are relative to ``root``."""

    root: Path
    hashes: dict[str, str | None] = field(default_factory=dict)

    def hash(self, path: str) -> str | None:
        """The hash of a file or a folder's listing; None where it is missing."""
        if path not in self.hashes:
            self.hashes[path] = self._hash(self.root / path)
        return self.hashes[path]

    def _hash(self, place: Path) -> str | None:
        if place.is_dir():
            below = {file.relative_to(place).as_posix(): file for file in files_below(place)}
            return listing_hash(
                {name: str(self.hash(self.relative(file))) for name, file in below.items()}
            )
        return sha256(place) if place.is_file() else None

    def relative(self, place: Path) -> str:
        """A place below the root as the records write it."""
        return place.relative_to(self.root).as_posix()


def experiment_root(folder: Path) -> tuple[Path, str]:
    """The repository's root and ``results/<experiment>``.

    Raises `UserError` where the folder is no experiment's results.
    """
    place = folder.absolute()
    if place.parent.name != "results" or not (place / RECORDS).is_dir():
        raise UserError(
            f"{folder} is not an experiment's results: it has no folder {RECORDS}/ or is not "
            "below results/; name results/<experiment> of a finished run."
        )
    return place.parent.parent, f"results/{place.name}"


def read_records(root: Path, results: str) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """All records by their output's path, and findings about those that cannot be used.

    Raises `UserError` for a record of a newer schema, or one that names a path elsewhere.
    """
    records, findings = {}, []
    for place in sorted((root / results / RECORDS).rglob("*.json")):
        name = place.relative_to(root).as_posix()
        try:
            record = read_record(place)
            check(record, "record", name)
        except UserError as error:
            if "newer" in str(error):
                raise
            findings.append(
                Finding(name, f"the record is damaged ({error})", "delete it and its output")
            )
            continue
        output = record["output"]["path"]
        if record_path(output).as_posix() != name:
            findings.append(Finding(name, f"it is the record of {output}", "delete it"))
            continue
        records[output] = record
    return records, findings


def output_findings(record: dict[str, Any], disk: Disk) -> Iterator[Finding]:
    """Files of one output that changed, went or came."""
    output = record["output"]
    path, again = output["path"], f"delete {output['path']} and run again"
    if disk.hash(path) is None:
        yield Finding(path, "it is missing", "run again")
        return
    if disk.hash(path) == output["sha256"]:
        return
    if "files" not in output:
        yield Finding(path, "it was changed after it was made", again)
        return
    below = files_below(disk.root / path)
    present = {file.relative_to(disk.root / path).as_posix() for file in below}
    for name in sorted(present | set(output["files"])):
        file = f"{path}/{name}"
        if name not in present:
            yield Finding(file, "it is missing", again)
        elif name not in output["files"]:
            yield Finding(file, "it has no record", again)
        elif disk.hash(file) != output["files"][name]["sha256"]:
            yield Finding(file, "it was changed after it was made", again)


def origin_findings(record: dict[str, Any], disk: Disk, settings: Settings) -> Iterator[Finding]:
    """Where a record no longer matches its inputs, code or configuration."""
    path, rule = record["output"]["path"], record["rule"]
    again = f"run again, if need be with `--forcerun {rule}`"
    for entry in record["inputs"]:
        place = TABLES if entry["path"].startswith(f"{TABLES}/") else entry["path"]
        if SAID_BY_PARAMS.get(place, set()) & set(record["params"]):
            continue
        present = disk.hash(entry["path"])
        if present is None:
            yield Finding(path, f"its input {entry['path']} is missing", again)
        elif present != entry["sha256"]:
            yield Finding(path, f"its input {entry['path']} is not what it was made from", again)
    if record["code"] != code_of(record):
        yield Finding(path, f"the code of the rule {rule} has changed", again)
    for change in changed_settings(record, settings):
        yield Finding(path, f"made with other settings: {change}", again)


def unrecorded_findings(
    results: str, records: dict[str, dict[str, Any]], disk: Disk
) -> Iterator[Finding]:
    """Files that no record speaks of."""
    folder = disk.root / results
    folders = [f"{path}/" for path, record in records.items() if "files" in record["output"]]
    for file in files_below(folder):
        path, below = disk.relative(file), file.relative_to(folder)
        if below.parts[0] in (RECORDS, MEASURED) or PARTS in below.parts:
            continue
        if below.as_posix() in UNRECORDED or path in records:
            continue
        if path.startswith(tuple(folders)):
            continue
        if file.name.startswith(".") and file.name.endswith(".partial"):
            yield Finding(path, "an interrupted job left it behind", "delete it")
        else:
            yield Finding(path, "it has no record", "delete it and run again")


def verify(folder: Path) -> tuple[int, list[Finding]]:
    """The number of recorded outputs and all findings. Raises `UserError` as said above."""
    root, results = experiment_root(folder)
    settings = present_settings(root, results)
    records, findings = read_records(root, results)
    disk = Disk(root)
    checked = track(sorted(records), len(records), f"verify {results}")
    for path in checked:
        findings += output_findings(records[path], disk)
    for path in sorted(records):
        findings += origin_findings(records[path], disk, settings)
    findings += unrecorded_findings(results, records, disk)
    return len(records), findings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", type=Path, help="results/<experiment>")


def main(args: argparse.Namespace) -> None:
    start_logging(None)
    count, findings = verify(args.results)
    for finding in findings:
        print(finding)
    if findings:
        sys.exit(f"{len(findings)} findings on {count} recorded outputs in {args.results}.")
    print(f"{args.results}: all {count} recorded outputs and their inputs are what they were.")
