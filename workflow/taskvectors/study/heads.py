"""Attention heads on disk: what each one's output does, and what function vectors answer.

A function vector (Todd et al., 2024) is the sum of the outputs of the few heads that carry a task,
and is added to the residual stream, with a strength, rather than put in its place.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from taskvectors.base.parquet import read_rows, write_rows
from taskvectors.study.predictions import Prediction

#: What specifications a function vector can have: those with exemplars, whose labels can be
#: shuffled.
SPECIFICATIONS = ("text_icl", "image_icl")
#: What a vector does to a query, besides ``patch``: a task vector that is added, a function vector
#: that is added.
INJECT, FUNCTION = "inject", "function"


@dataclass(frozen=True)
class HeadEffect:
    """What one head did to one prompt with shuffled labels (``specification``, the number
    ``prompt``, its query ``entity``): ``after`` is the probability of what is judged of the label
    where the output of ``head`` of ``layer`` at the last token is its mean over clean prompts,
    ``before`` where nothing was changed."""

    model: str
    template: str
    task: str
    specification: str
    prompt: int
    entity: str
    label: str
    layer: int
    head: int
    before: float
    after: float


@dataclass(frozen=True)
class Injection(Prediction):
    """A prediction of a query to which a vector was added ``strength`` times after ``layer``."""

    strength: float


def write_effects(path: Path, effects: Sequence[HeadEffect]) -> None:
    """Write Parquet, whole or not at all."""
    write_rows(path, HeadEffect, effects)


def read_effects(paths: Sequence[Path]) -> pd.DataFrame:
    """Read and join files of effects. Raises `UserError` naming one that has other columns."""
    return read_rows(paths, HeadEffect)


def write_injections(path: Path, injections: Sequence[Injection]) -> None:
    """Write Parquet, whole or not at all."""
    write_rows(path, Injection, injections)


def read_injections(paths: Sequence[Path]) -> pd.DataFrame:
    """Read and join files of injections. Raises `UserError` naming one that has other columns."""
    return read_rows(paths, Injection)


def shuffled(labels: Sequence[str], rng: random.Random) -> list[str]:
    """The labels in another order, in which at least one stands for another.

    Raises ValueError where all are alike.
    """
    if len(set(labels)) < 2:
        raise ValueError(f"{len(labels)} labels that are all alike cannot be shuffled")
    found = list(labels)
    while found == list(labels):
        found = rng.sample(labels, k=len(labels))
    return found
