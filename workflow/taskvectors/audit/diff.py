"""``python -m taskvectors.audit diff``: what differs between two runs, and what came first.

An output differs where its bytes do. A job is a first cause where an output of it differs although
all that other jobs gave it is the same; what comes after follows from such jobs. Each is explained
by what its records, datasets and manifests say; where several things changed, all are named.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from taskvectors.audit.lineage import RESULTS, Lineage, Record, in_order, open_results
from taskvectors.base.files import read_jsonl
from taskvectors.study.manifest import is_manifest, read_manifest

NAMED = 5  # labels, images and files that are listed one by one
MODEL_PARAMS = {"hub", "folder", "revision", "package", "file", "dtype"}
# Params that say where a job's files are, and those of the model.
NO_SETTINGS = {"out", "stem", "results", "experiment", "dataset", "datasets", *MODEL_PARAMS}


@dataclass(frozen=True)
class Side:
    """One of the two results: its records by path below the results folder."""

    lineage: Lineage
    records: dict[str, Record]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Read all records. Raises `UserError` where ``folder`` is no results folder."""
        lineage = open_results(folder)
        return cls(lineage, {below(lineage, record): record for record in lineage.all()})

    def unchanged(self, name: str) -> bool:
        """Whether an output is still what was recorded; another would explain nothing."""
        return self.lineage.unchanged(self.records[name].output)


def below(lineage: Lineage, record: Record) -> str:
    """The path of a record's output below the results folder."""
    return record.path.removeprefix(f"{lineage.prefix}/")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("a", type=Path, help="results/<experiment>, of this checkout or another")
    parser.add_argument("b", type=Path, help="the same of the other run")


def main(args: argparse.Namespace) -> None:
    """Print the comparison; exit status 1 where an output differs."""
    lines, equal = compare(Side.of(args.a), Side.of(args.b))
    print("\n".join(lines))
    if not equal:
        sys.exit(1)


def compare(a: Side, b: Side) -> tuple[list[str], bool]:
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


def first_jobs(a: Side, b: Side, differing: set[str]) -> list[list[str]]:
    """The differing outputs of each job to which no other job gave anything different."""
    jobs: dict[Any, list[str]] = {}
    for record in in_order(a.records.values(), a.lineage.makers):
        name = below(a.lineage, record)
        makers = [
            below(side.lineage, maker)
            for side in (a, b)
            if name in side.records
            for maker in side.lineage.makers(side.records[name])
        ]
        if name in differing and not differing.intersection(makers):
            jobs.setdefault(record.job, []).append(name)
    return list(jobs.values())


def reasons(a: Side, b: Side, names: list[str]) -> list[str]:
    """Why a job gave something else: labels and images by name, then what its records say."""
    one, other = a.records[names[0]], b.records[names[0]]
    whole = [name for name in names if a.unchanged(name) and b.unchanged(name)]
    found = [text for name in whole for text in _contents(a, b, name)]
    if len(found) > NAMED:
        found = [*found[:NAMED], f"{len(found) - NAMED} more labels or images"]
    found += _changes(_said(one), _said(other))
    lone = {given["path"] for given in one.inputs} ^ {given["path"] for given in other.inputs}
    if lone and not found:
        return [f"only one of the two had {_some(sorted(lone))}"]
    return found or [f"{one.rule} made other bytes of the same inputs, code, packages and settings"]


def _contents(a: Side, b: Side, name: str) -> list[str]:
    """Labels of a dataset and images of a manifest that are not the same, by entity."""
    one, other = (side.lineage.folder / name for side in (a, b))
    if is_manifest(name):
        return _changes(_images(one), _images(other))
    if name.startswith("curate/") and name.endswith(".jsonl"):
        what = f"the label {a.records[name].params.get('label', 'label')} of"
        before, after = _labels(what, one), _labels(what, other)
        return _changes({**after, **before}, {**before, **after})  # of what both have
    return []


def _labels(what: str, dataset: Path) -> dict[str, str]:
    rows = read_jsonl(dataset)
    return {f"{what} {row['entity']}": repr(row["label"]) for row in rows if "label" in row}


def _images(manifest: Path) -> dict[str, str]:
    return {
        f"the image of {image.entity} ({image.entity_set})": image.sha256[:16]
        for image in read_manifest(manifest)
    }


def _said(record: Record) -> dict[str, Any]:
    """What a record says of how its job was done, by what to call it."""
    params, model = record.params, record.model or {}
    model = {**{key: params[key] for key in MODEL_PARAMS & params.keys()}, **model}
    settings = record.settings.items()
    sources = [given for given in record.inputs if not given["path"].startswith(RESULTS)]
    return {
        **{f"the model's {key}": value for key, value in model.items() if key != "notes"},
        f"the code of the rule {record.rule}": record.code,
        **{f"the package {name}": one for name, one in record.packages["versions"].items()},
        **{f"the setting {name}": one for name, one in settings if name not in NO_SETTINGS},
        **{f"the file {given['path']}": given["sha256"][:16] for given in sources},
    }


def _changes(one: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """What differs between two mappings, in words."""
    pairs = {key: (one.get(key, "not there"), other.get(key, "not there")) for key in one | other}
    return [
        f"{key} is {before} in the first and {after} in the second"
        for key, (before, after) in pairs.items()
        if before != after
    ]


def _some(names: Sequence[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _made_differently(a: Side, b: Side, names: Sequence[str]) -> list[str]:
    """What differs in how equal outputs were made."""
    found = [text for n in names for text in _changes(_said(a.records[n]), _said(b.records[n]))]
    return [f"though {text}" for text in dict.fromkeys(found)]
