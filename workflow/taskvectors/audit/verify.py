"""``python -m taskvectors.audit verify``: rehash an experiment and name what is not as recorded.

Every output and input is read in full. Named are files that were changed, are missing or have
no record, and those whose record no longer matches its inputs, code or configuration: one line
each, with a remedy. The exit status is 0 only if all is well.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from taskvectors.audit.labels import is_entity_table
from taskvectors.audit.lineage import Lineage, Record, open_results, read_record
from taskvectors.audit.today import changed_settings, code_of, read_plan
from taskvectors.base.errors import UserError
from taskvectors.base.files import listing_hash, sha256
from taskvectors.base.progress import start_logging, track
from taskvectors.record.provenance import (
    RECORDS,
    NewerSchemaError,
    files_below,
    pinned,
    record_path,
)
from taskvectors.study.plan import Plan

# Made after the run, from what it left; and what jobs took.
UNRECORDED, MEASURED = {"report.html"}, "benchmarks"
# Of these inputs only what a param says counts for a job: a task's line, the labels of a column.
TASKS, TABLES = "resources/tasks.yaml", "tables"
SAID_BY_PARAMS = {
    TASKS: {"label", "instruction", "wordings", "tokens", "definitions"},
    TABLES: {"labels", "entities", "own_rows"},
}


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


def read_records(lineage: Lineage) -> tuple[dict[str, Record], list[Finding]]:
    """All records by their output's path, and findings about those that cannot be used.

    Raises `UserError` for a record of a newer schema.
    """
    records, findings = {}, []
    for place in sorted((lineage.folder / RECORDS).rglob("*.json")):
        name = place.relative_to(lineage.root).as_posix()
        try:
            record = read_record(place)
            own_place = record_path(record.path).as_posix() == name
        except NewerSchemaError:
            raise
        except UserError as error:
            damaged = f"the record is damaged ({error})"
            findings.append(Finding(name, damaged, "delete it and its output"))
            continue
        if own_place:
            records[record.path] = record
        else:
            findings.append(Finding(name, f"it is the record of {record.path}", "delete it"))
    return records, findings


def output_findings(record: Record, disk: Disk) -> Iterator[Finding]:
    """Files of one output that changed, went or came."""
    path, output = record.path, record.output
    again = f"delete {path} and run again"
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


def origin_findings(record: Record, disk: Disk, plan: Plan) -> Iterator[Finding]:
    """Where a record no longer matches its inputs, code or configuration."""
    path, rule = record.path, record.rule
    again = f"run again, if need be with `--forcerun {rule}`"
    for entry in record.inputs:
        place = TABLES if is_entity_table(entry["path"]) else entry["path"]
        if SAID_BY_PARAMS.get(place, set()) & set(record.params):
            continue
        present = disk.hash(entry["path"])
        if present is None:
            yield Finding(path, f"its input {entry['path']} is missing", again)
        elif present != entry["sha256"]:
            yield Finding(path, f"its input {entry['path']} is not what it was made from", again)
    if record.code != code_of(record) and not pinned(record.params):
        yield Finding(path, f"the code of the rule {rule} has changed", again)
    for change in changed_settings(record, plan):
        yield Finding(path, f"made with other settings: {change}", again)


def unrecorded_findings(
    lineage: Lineage, records: dict[str, Record], disk: Disk
) -> Iterator[Finding]:
    """Files that no record speaks of."""
    folders = tuple(f"{path}/" for path, record in records.items() if "files" in record.output)
    for file in files_below(lineage.folder):
        path, below = disk.relative(file), file.relative_to(lineage.folder)
        if below.parts[0] in (RECORDS, MEASURED) or below.as_posix() in UNRECORDED:
            continue
        if path in records or path.startswith(folders):
            continue
        if file.name.startswith(".") and file.name.endswith(".partial"):
            yield Finding(path, "an interrupted job left it behind", "delete it")
        else:
            yield Finding(path, "it has no record", "delete it and run again")


def verify(folder: Path) -> tuple[int, list[Finding]]:
    """The number of recorded outputs and all findings.

    Raises `UserError` where the folder is no experiment's results, or a record is of a newer
    schema.
    """
    lineage = open_results(folder)
    records, findings = read_records(lineage)
    plan = read_plan(lineage.root, lineage.prefix, records.values())
    disk = Disk(lineage.root)
    for path in track(sorted(records), len(records), f"verify {lineage.prefix}"):
        findings += output_findings(records[path], disk)
    for path in sorted(records):
        findings += origin_findings(records[path], disk, plan)
    findings += unrecorded_findings(lineage, records, disk)
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
