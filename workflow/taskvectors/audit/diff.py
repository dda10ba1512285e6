"""``python -m taskvectors.audit diff``: what differs between two runs, and what came first.

An output differs where its bytes do. A job is a first cause where an output of it differs although
all that other jobs gave it is the same; what comes after follows from such jobs. Each is explained
by what its records, datasets and manifests say; where several things changed, all are named.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from taskvectors.audit.lineage import RESULTS, Lineage, Record, in_order, open_results
from taskvectors.audit.origins import is_manifest, read_images
from taskvectors.base.files import read_jsonl, sha256

NAMED = 5  # labels, images and files that are listed one by one
MODEL_PARAMS = {"hub", "revision", "package", "file", "dtype"}
NO_SETTINGS = {
    "code",
    "out",
    "stem",
    "results",
    "experiment",
    "dataset",
    "datasets",
    "name",
    "merged",
}


@dataclass(frozen=True)
class Run:
    """One of the two results: its records by path below the results folder."""

    lineage: Lineage
    records: dict[str, Record]

    @classmethod
    def of(cls, folder: Path) -> Run:
        """Read all records. Raises `UserError` where ``folder`` is no results folder."""
        lineage = open_results(folder)
        return cls(lineage, {below(lineage, r.path): r for r in lineage.all()})

    def file(self, name: str) -> Path:
        """Where the output ``name`` lies."""
        return self.lineage.folder / name


def below(lineage: Lineage, path: str) -> str:
    """A recorded path below the results folder; one of another place as it is."""
    place = PurePosixPath(path)
    inside = place.is_relative_to(lineage.prefix)
    return place.relative_to(lineage.prefix).as_posix() if inside else path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("a", type=Path, help="results/<experiment>, of this checkout or another")
    parser.add_argument("b", type=Path, help="the same of the other run")


def main(args: argparse.Namespace) -> None:
    """Print the comparison; exit status 1 where an output differs."""
    lines, equal = compare(Run.of(args.a), Run.of(args.b))
    print("\n".join(lines))
    if not equal:
        sys.exit(1)


def compare(a: Run, b: Run) -> tuple[list[str], bool]:
    """What differs, as lines with the first causes, and whether all outputs are the same."""
    common = [name for name in a.records if name in b.records]
    differing = {
        n for n in common if a.records[n].output["sha256"] != b.records[n].output["sha256"]
    }
    lines = []
    for one, other, which in ((a, b, "first"), (b, a, "second")):
        only = sorted(set(one.records) - set(other.records))
        lines += [f"only in the {which}: {_some(only)}"] if only else []
    if not differing:
        same = f"all {len(common)} outputs that both have are the same"
        return [*lines, same, *_made_differently(a, b, common)], not lines
    lines.append(f"{len(differing)} of {len(common)} outputs differ")
    causes: dict[str, list[str]] = {}
    for names in first_jobs(a, b, differing):
        for reason in reasons(a, b, names):
            causes.setdefault(reason, []).extend(names)
    for number, (reason, names) in enumerate(causes.items()):
        lines.append(f"{'also' if number else 'first cause'}: {reason} (in {_some(names)})")
    rest = sorted(differing - {name for names in causes.values() for name in names})
    lines += [f"the other {len(rest)} follow: {_some(rest)}"] if rest else []
    return lines, False


def first_jobs(a: Run, b: Run, differing: set[str]) -> list[list[str]]:
    """The differing outputs of each job to which no other job gave anything different."""
    jobs: dict[Any, list[str]] = {}
    for record in in_order(a.records.values(), a.lineage.makers):
        name = below(a.lineage, record.path)
        makers = [
            below(run.lineage, maker.path)
            for run in (a, b)
            if name in run.records
            for maker in run.lineage.makers(run.records[name])
        ]
        if name in differing and not differing.intersection(makers):
            jobs.setdefault(record.job, []).append(name)
    return list(jobs.values())


def reasons(a: Run, b: Run, names: list[str]) -> list[str]:
    """Why a job gave something else: labels and images by name, then what its records say."""
    one, other = a.records[names[0]], b.records[names[0]]
    found = [text for name in names for text in _labels(a, b, name)]
    found += [text for name in names for text in _images(a, b, name)]
    if len(found) > NAMED:
        found = [*found[:NAMED], f"{len(found) - NAMED} more labels or images"]
    for explain in (_model, _code, _packages, _settings, _files):
        found += explain(one, other)
    return found or [f"{one.rule} made other bytes of the same inputs, code, packages and settings"]


def _labels(a: Run, b: Run, name: str) -> Iterator[str]:
    """Labels of a dataset that are not the same, by entity."""
    if not (name.startswith("curate/") and name.endswith(".jsonl") and _as_recorded(a, b, name)):
        return
    before, after = (
        {row["entity"]: row["label"] for row in read_jsonl(run.file(name)) if "label" in row}
        for run in (a, b)
    )
    column = a.records[name].params.get("label", "label")
    for entity in sorted(before.keys() & after.keys()):
        if before[entity] != after[entity]:
            what = f"the label {column} of {entity}"
            yield _sentence(what, repr(before[entity]), repr(after[entity]))


def _images(a: Run, b: Run, name: str) -> Iterator[str]:
    """Images of a manifest that are not the same, with both hashes."""
    if not is_manifest(name) or not _as_recorded(a, b, name):
        return
    before, after = (
        {f"{p.entity} ({p.entity_set})": p.sha256[:16] for p in read_images(run.file(name))}
        for run in (a, b)
    )
    for image, *values in _changes(before, after, nested=False):
        yield _sentence(f"the image of {image}", *values)


def _as_recorded(a: Run, b: Run, name: str) -> bool:
    """Whether both files are still the ones that were recorded; others would explain nothing."""
    paths = [(run.file(name), run.records[name].output["sha256"]) for run in (a, b)]
    return all(path.is_file() and sha256(path) == recorded for path, recorded in paths)


def _model(one: Record, other: Record) -> Iterator[str]:
    """A model of another source, revision, precision or image backend."""
    found = dict(_pairs(_changes(one.model or {}, other.model or {}, nested=False)))
    found |= {k: v for k, v in _pairs(_changes(one.params, other.params)) if k in MODEL_PARAMS}
    for key, values in found.items():
        if key != "notes":
            yield _sentence(f"the model's {key}", *values)


def _code(one: Record, other: Record) -> Iterator[str]:
    if one.code != other.code:
        yield _sentence(f"the code of the rule {one.rule}", one.code, other.code)


def _packages(one: Record, other: Record) -> Iterator[str]:
    for name, *values in _changes(one.packages["versions"], other.packages["versions"]):
        yield _sentence(f"the package {name}", *values)


def _settings(one: Record, other: Record) -> Iterator[str]:
    """Seeds and settings that reached the job: as parameters, or in which files it read."""
    parameters = dict(_pairs(_changes(one.params, other.params)))
    reached = {key.split(".")[0] for key in parameters} - NO_SETTINGS - MODEL_PARAMS
    config = dict(_pairs(_changes(one.config, other.config)))
    config.pop("experiment", None)
    same_files = len(one.inputs) == len(other.inputs)
    named = {key: v for key, v in config.items() if reached.intersection(key.split("."))}
    if reached:
        for key, values in (named or config).items():
            yield _sentence(f"the setting {key}", *values)
        for key in sorted(parameters if not config else ()):
            if key.split(".")[0] in reached:
                yield _sentence(f"the parameter {key}", *parameters[key])
    elif not same_files:
        for key, values in config.items():
            yield _sentence(f"the setting {key}", *values)
    if one.seeds != other.seeds and "seeds" not in config:
        yield _sentence("the seeds", one.seeds, other.seeds)


def _files(one: Record, other: Record) -> Iterator[str]:
    """Files of the repository that a job read and that are not the same."""
    before, after = (
        {i["path"]: i["sha256"][:16] for i in record.inputs if not i["path"].startswith(RESULTS)}
        for record in (one, other)
    )
    for path, *values in _changes(before, after):
        yield _sentence(f"the file {path}", *values)


def _changes(
    one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "", nested: bool = True
) -> Iterator[tuple[str, Any, Any]]:
    """What differs between two mappings: dotted key, and both values (or "not there")."""
    for key in sorted(one.keys() | other.keys()):
        before, after = (side.get(key, "not there") for side in (one, other))
        if nested and isinstance(before, Mapping) and isinstance(after, Mapping):
            yield from _changes(before, after, f"{prefix}{key}.")
        elif before != after:
            yield f"{prefix}{key}", before, after


def _pairs(changes: Iterable[tuple[str, Any, Any]]) -> Iterator[tuple[str, tuple[Any, Any]]]:
    return ((key, (before, after)) for key, before, after in changes)


def _sentence(what: str, before: Any, after: Any) -> str:
    return f"{what} is {before} in the first and {after} in the second"


def _some(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _made_differently(a: Run, b: Run, names: Sequence[str]) -> list[str]:
    """What differs in how equal outputs were made."""
    found: dict[str, None] = {}
    for name in names:
        for explain in (_model, _code, _packages, _settings, _files):
            found.update(dict.fromkeys(explain(a.records[name], b.records[name])))
    return [f"though {text}" for text in found]
