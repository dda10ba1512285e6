"""The graph of records: which job made a file, and from what.

Every output has a record beside the results, ``records/<path below the results>.json``
(``workflow/schemas/record.schema.yaml``). Records are read when they are asked for, so that
following one figure does not read those of all others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.base.schemas import check
from taskvectors.record import provenance
from taskvectors.record.provenance import RECORDS, inside

RESULTS = "results"


@dataclass(frozen=True)
class Record:
    """How one output was made; the fields are those of the schema."""

    output: dict[str, Any]
    inputs: list[dict[str, Any]]
    rule: str
    wildcards: dict[str, str]
    command: str
    code: str
    params: dict[str, Any]
    config: dict[str, Any]
    git: dict[str, Any] | None
    packages: dict[str, Any]
    model: dict[str, Any] | None
    device: str | None
    seeds: list[int]
    started: str
    ended: str
    machine: dict[str, str]
    template: dict[str, Any] | None = None
    answers: dict[str, int] | None = None

    @property
    def path(self) -> str:
        """The output's path, relative to the repository's root."""
        return self.output["path"]

    @property
    def job(self) -> tuple[str, tuple[tuple[str, str], ...]]:
        """What all outputs of one job share."""
        return self.rule, tuple(sorted(self.wildcards.items()))

    @property
    def settings(self) -> dict[str, Any]:
        """What reached the job: its params, or the whole configuration where that is the param."""
        return self.config if "merged" in self.params else self.params


def read_record(path: Path) -> Record:
    """Read one record. Raises `UserError` where it is newer than this program or damaged."""
    raw = provenance.read_record(path)
    check(raw, "record", str(path))
    return Record(**{name: value for name, value in raw.items() if name != "schema"})


@dataclass
class Lineage:
    """The records of one experiment. ``folder`` is ``results/<experiment>`` in a checkout."""

    folder: Path
    _known: dict[str, Record | None] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The checkout's root, which all recorded paths are relative to."""
        return self.folder.parent.parent

    @cached_property
    def prefix(self) -> str:
        """The results' folder as it begins recorded paths: ``results/<experiment>``."""
        return self.folder.relative_to(self.root).as_posix()

    def record(self, path: str) -> Record | None:
        """The record of ``path``, or of the folder that was made with it inside; else None."""
        if path not in self._known:
            self._known[path] = self._find(PurePosixPath(path))
        return self._known[path]

    def recorded(self, path: str) -> Record:
        """The record of ``path``. Raises `UserError` where it has none."""
        record = self.record(path)
        if record is None:
            raise UserError(
                f"{path} has no record, so nothing says where it is from; make it again with "
                "`snakemake`, which writes one."
            )
        return record

    def _find(self, path: PurePosixPath) -> Record | None:
        if not path.is_relative_to(self.prefix):
            return None
        below = path.relative_to(self.prefix)
        for place in (below, *below.parents):
            if place == PurePosixPath("."):
                break
            file = self.folder / RECORDS / f"{place}.json"
            if file.is_file():
                return read_record(file)
        return None

    def all(self) -> list[Record]:
        """Every record, sorted by the path of its output."""
        found = [read_record(file) for file in (self.folder / RECORDS).rglob("*.json")]
        self._known.update({record.path: record for record in found})
        return sorted(found, key=lambda record: record.path)

    def makers(self, record: Record) -> list[Record]:
        """The records of a record's inputs, each once, in the order of the inputs."""
        found = (self.record(given["path"]) for given in record.inputs)
        return list({maker.path: maker for maker in found if maker is not None}.values())

    def sources(self, record: Record) -> list[dict[str, Any]]:
        """The inputs that no job made: files of the repository, or results without a record."""
        return [given for given in record.inputs if self.record(given["path"]) is None]

    def ancestry(self, targets: Iterable[Record]) -> list[Record]:
        """The targets and all that they were made from, makers first, each once.

        Raises `UserError` where records say that a file was made from itself.
        """
        return in_order(targets, self.makers)

    def unchanged(self, given: dict[str, Any]) -> bool:
        """Whether a file on disk still has the hash that was recorded when it was used."""
        path = self.root / given["path"]
        return path.is_file() and sha256(path) == given["sha256"]


def in_order(targets: Iterable[Record], makers: Callable[[Record], list[Record]]) -> list[Record]:
    """Depth first, makers before what they made, without recursion: chains may be long."""
    ordered: dict[str, Record] = {}
    for target in targets:
        trail: dict[str, Record] = {}
        waiting = [(target, False)]
        while waiting:
            record, finished = waiting.pop()
            if finished:
                del trail[record.path]
                ordered[record.path] = record
            elif record.path in trail:
                raise UserError(
                    f"the records say that {record.path} was made from itself; make it again."
                )
            elif record.path not in ordered:
                trail[record.path] = record
                waiting.append((record, True))
                waiting += [(maker, False) for maker in reversed(makers(record))]
    return list(ordered.values())


def open_results(folder: Path) -> Lineage:
    """The lineage of ``results/<experiment>``. Raises `UserError` where it is no such folder."""
    place = folder.absolute()
    if not place.is_dir():
        raise UserError(f"{folder} is no folder; name one below results/ after a run.")
    if place.parent.name != RESULTS or not (place / RECORDS).is_dir():
        raise UserError(
            f"{folder} holds no results with records; name a folder results/<experiment>."
        )
    return Lineage(place)


def find_target(name: str, results: Path) -> tuple[Lineage, Record]:
    """The record of a path below results/, or of an item such as ``table_3`` in ``results``.

    Raises `UserError` for a path outside the repository and for a file without record.
    """
    if Path(name).suffix == "" and Path(name).name == name and not Path(name).exists():
        lineage = open_results(results)
        for shown in (f"figures/{name}.pdf", f"tables/{name}.csv"):
            record = lineage.record(f"{lineage.prefix}/{shown}")
            if record is not None and record.path.endswith(shown):
                return lineage, record
        raise UserError(f"{results} has no record of an item {name!r}; make it with `snakemake`.")
    path = PurePosixPath(inside(name))
    if len(path.parts) < 3 or path.parts[0] != RESULTS:
        raise UserError(f"{name} is not below results/<experiment>/; only results have records.")
    lineage = open_results(Path(*path.parts[:2]))
    return lineage, lineage.recorded(path.as_posix())
