"""Answers under task conflict on disk: one row per prompt, with the labels of both its tasks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from taskvectors.base.parquet import read_rows, write_rows

_STRING, _INT = pa.string(), pa.int32()
SCHEMA = pa.schema(
    [
        pa.field("model", _STRING, nullable=False),
        pa.field("template", _STRING, nullable=False),
        pa.field("prompted", _STRING, nullable=False),
        pa.field("patched", _STRING, nullable=False),
        pa.field("specification", _STRING),
        pa.field("query_modality", _STRING, nullable=False),
        pa.field("seed", _INT),
        pa.field("layer", _INT),
        pa.field("entity", _STRING, nullable=False),
        pa.field("prompted_label", _STRING, nullable=False),
        pa.field("prompted_label_token_id", _INT, nullable=False),
        pa.field("patched_label", _STRING, nullable=False),
        pa.field("patched_label_token_id", _INT, nullable=False),
        pa.field("token_id", _INT, nullable=False),
        pa.field("token", _STRING, nullable=False),
        pa.field("logit_difference", pa.float32(), nullable=False),
        pa.field("position", _INT, nullable=False),
        pa.field("neighbourhood", _STRING, nullable=False),
    ]
)


@dataclass(frozen=True)
class ConflictAnswer:
    """The first token where the prompt asks the task ``prompted``, the vector ``patched``.

    ``specification``, ``seed`` and ``layer`` are the vector's; all three are None where
    nothing was patched, and ``patched`` then only names the task that is compared. The label
    token ids are the labels' first tokens where the answer stands; the rest is as in
    `taskvectors.study.predictions.Prediction`.
    """

    model: str
    template: str
    prompted: str
    patched: str
    specification: str | None
    query_modality: str
    seed: int | None
    layer: int | None
    entity: str
    prompted_label: str
    prompted_label_token_id: int
    patched_label: str
    patched_label_token_id: int
    token_id: int
    token: str
    logit_difference: float
    position: int
    neighbourhood: str


def write_conflicts(path: Path, answers: list[ConflictAnswer]) -> None:
    """Write Parquet in the columns of `SCHEMA`, whole or not at all."""
    table = pa.Table.from_pylist([asdict(answer) for answer in answers], schema=SCHEMA)
    write_rows(path, table)


def read_conflicts(path: Path) -> pd.DataFrame:
    """Read one file. Raises `UserError` naming it where it is not as `SCHEMA`."""
    return read_rows(path, SCHEMA, "task conflict has").to_pandas()
