"""Predictions: one row per answered query, and how methods are named."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from taskvectors.base.parquet import read_rows, write_rows

MODALITIES = ("text", "image")
ICL_MODALITY = {"text_icl": "text", "image_icl": "image", "instruction": "text"}
ENSEMBLE = "ensemble"  # the mean of a text ICL vector and an instruction vector

_STRING, _INT = pa.string(), pa.int32()
SCHEMA = pa.schema(
    [
        pa.field("model", _STRING, nullable=False),
        pa.field("template", _STRING, nullable=False),
        pa.field("task", _STRING, nullable=False),
        pa.field("split", _STRING, nullable=False),
        pa.field("method", _STRING, nullable=False),
        pa.field("specification", _STRING),
        pa.field("query_modality", _STRING, nullable=False),
        pa.field("seed", _INT),
        pa.field("layer", _INT),
        pa.field("entity", _STRING, nullable=False),
        pa.field("label", _STRING, nullable=False),
        pa.field("label_token_id", _INT, nullable=False),
        pa.field("token_id", _INT, nullable=False),
        pa.field("token", _STRING, nullable=False),
        pa.field("logit_difference", pa.float32(), nullable=False),
        pa.field("position", _INT, nullable=False),
        pa.field("neighbourhood", _STRING, nullable=False),
    ]
)


@dataclass(frozen=True)
class Prediction:
    """A model's first token for one query.

    ``specification``, ``seed`` and ``layer`` are None where a method has none (no_context has
    no specification, an instruction no seed, prompting no layer). ``label_token_id`` is the
    label's first token where the answer stands; ``logit_difference`` is the logit's lead over the
    runner-up's; ``position`` is the index of the token that was read or patched, and
    ``neighbourhood`` shows it decoded among its neighbours.
    """

    model: str
    template: str
    task: str
    split: str
    method: str
    specification: str | None
    query_modality: str
    seed: int | None
    layer: int | None
    entity: str
    label: str
    label_token_id: int
    token_id: int
    token: str
    logit_difference: float
    position: int
    neighbourhood: str


def split_samples(specification: str) -> tuple[str, int | None]:
    """``text_icl_n5`` as ``text_icl`` and its 5 samples; samples are None for a full vector."""
    name, samples = re.fullmatch(r"(.+?)(?:_n(\d+))?", specification).groups()
    return name, int(samples) if samples else None


def method_name(specification: str, query_modality: str, way: str) -> str:
    """A method's name as in the paper's tables; ``way`` is ``base`` (in context) or ``patch``.

    An ``x`` marks a query of the other modality: text exemplars and an image query make
    ``text_icl_xbase`` and ``text_icl_xpatch``, five samples of them ``text_icl_n5_xpatch``.
    """
    name, _ = split_samples(specification)
    modality = "text" if name == ENSEMBLE else ICL_MODALITY[name]
    crossed = "" if modality == query_modality else "x"
    return f"{specification}_{crossed}{way}"


def write_predictions(path: Path, predictions: list[Prediction]) -> None:
    """Write Parquet in the columns of `SCHEMA`, whole or not at all."""
    columns = {
        column.name: [getattr(prediction, column.name) for prediction in predictions]
        for column in fields(Prediction)
    }
    write_rows(path, pa.table(columns, schema=SCHEMA))


def join_predictions(path: Path, parts: list[Path]) -> int:
    """Write the rows of several prediction files, in order, as one; return how many there are."""
    joined = pa.concat_tables([pq.read_table(part) for part in parts])
    write_rows(path, joined.combine_chunks())
    return len(joined)


def read_predictions(paths: list[Path]) -> pd.DataFrame:
    """Read and join prediction files. Raises `UserError` naming one that is not as `SCHEMA`."""
    tables = [read_rows(path, SCHEMA, "predictions have") for path in paths]
    return pa.concat_tables(tables).to_pandas()
