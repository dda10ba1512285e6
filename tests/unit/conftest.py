"""A results folder made by hand, with the records that a real run would have kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from taskvectors.audit.lineage import Lineage, open_results
from taskvectors.base.files import write_json, write_text
from taskvectors.base.schemas import check
from taskvectors.record.provenance import describe

PLAIN = {
    "schema": 1,
    "wildcards": {},
    "command": "python -m taskvectors.made",
    "code": "0123456789abcdef",
    "params": {},
    "config": {"experiment": "made", "seeds": [1, 2]},
    "git": {"commit": "1" * 40, "dirty": False},
    "packages": {"lock": "0" * 64, "versions": {"torch": "2.13.0", "snakemake": "9.27.1"}},
    "model": None,
    "device": None,
    "seeds": [],
    "started": "2026-11-22T10:00:00.000+00:00",
    "ended": "2026-11-22T10:00:01.000+00:00",
    "machine": {"platform": "Linux", "python": "3.11.7"},
}


@dataclass(frozen=True)
class MadeResults:
    """``results/made`` below ``root``."""

    root: Path

    @property
    def folder(self) -> Path:
        return self.root / "results/made"

    def file(self, path: str, text: str) -> str:
        """Write a file of the repository."""
        write_text(self.root / path, text)
        return path

    def job(self, rule: str, outputs: dict[str, str], inputs: list[str] = (), **about: Any) -> None:
        """Write the outputs (path below the results to text) of a job, with their records."""
        paths = {f"results/made/{name}": text for name, text in outputs.items()}
        for path, text in paths.items():
            write_text(self.root / path, text)
            self.record(path, rule, inputs, **about)

    def record(self, path: str, rule: str, inputs: list[str] = (), **about: Any) -> None:
        """Write the record of an output that is there."""
        given = []
        for name in inputs:
            found = describe(self.root / name)
            given.append({"path": name, "sha256": found["sha256"], "size": found["size"]})
        output = {"path": path, **describe(self.root / path)}
        record = {**PLAIN, "rule": rule, "output": output, "inputs": given, **about}
        check(record, "record", path)
        below = Path(path).relative_to("results/made")
        write_json(self.folder / "records" / f"{below}.json", record)

    def lineage(self) -> Lineage:
        """As the commands read it."""
        return open_results(self.folder)


@pytest.fixture
def made(tmp_path) -> MadeResults:
    """An empty results folder."""
    return MadeResults(tmp_path)


@pytest.fixture(scope="session")
def new_results(tmp_path_factory) -> Callable[[], MadeResults]:
    """A function that makes an empty results folder, for tests that need several."""
    return lambda: MadeResults(tmp_path_factory.mktemp("made"))
