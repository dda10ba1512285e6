"""Answers under task conflict on disk: one row per prompt, with the labels of both its tasks."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taskvectors.base.parquet import read_rows, write_rows


@dataclass(frozen=True)
class ConflictAnswer:
    """The first token where the prompt asks the task ``prompted``, the vector ``patched``.

    ``specification``, ``seed`` and ``layer`` are the vector's; all three are None where
    nothing was patched, and ``patched`` then only names the task that is compared. Under the
    specification ``system_prompt`` it was in words, in front, that ``patched`` was asked. The label
    token ids are what is judged of the labels where the answer stands; the answer goes on until it
    shows text where either needs it. The rest is as in
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
    prompted_label_token_ids: str
    patched_label: str
    patched_label_token_id: int
    patched_label_token_ids: str
    token_id: int
    token_ids: str
    token: str
    logit_difference: float
    position: int
    neighbourhood: str
    forced_boundary: bool


def write_conflicts(path: Path, answers: Sequence[ConflictAnswer]) -> None:
    """Write Parquet, whole or not at all."""
    write_rows(path, ConflictAnswer, answers)


def read_conflicts(path: Path) -> pd.DataFrame:
    """Read one file. Raises `UserError` naming it where it has other columns."""
    return read_rows([path], ConflictAnswer)
