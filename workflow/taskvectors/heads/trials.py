"""Vectors that are written into queries in one way: which, after which layers, how strongly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from taskvectors.base.tensors import read_tensors
from taskvectors.engine.sweep import Site
from taskvectors.jobs.arguments import Context, load_vectors
from taskvectors.jobs.patched import answered, with_vectors
from taskvectors.jobs.queries import Query
from taskvectors.models.base import Adapter
from taskvectors.study.heads import SPECIFICATIONS
from taskvectors.study.predictions import Prediction
from taskvectors.study.vectors import parse_vector_name, take_before_text, vectors_of_task

Vectors = Mapping[str, Tensor]  # (layers, width), by name


@dataclass(frozen=True)
class TaskVectors:
    """The vectors of one task: its own (``averaged``), those that text queries take in their stead
    (``before_text``), and its function vectors, which are the same for all layers."""

    averaged: Vectors
    before_text: Vectors
    functions: Vectors


def read_task_vectors(adapter: Adapter, task: str, averaged: Path, functions: Path) -> TaskVectors:
    """A task's vectors of ``vectors.safetensors`` and ``function_vectors.safetensors``.

    Raises `UserError` where a file is missing or vectors do not fit the model.
    """
    found, before_text = take_before_text(load_vectors(adapter, averaged))
    icl = {n: one for n, one in found.items() if parse_vector_name(n)[0] in SPECIFICATIONS}
    made = vectors_of_task(read_tensors(functions), task)
    layers = len(adapter.layers)
    return TaskVectors(icl, before_text, {n: one.expand(layers, -1) for n, one in made.items()})


@dataclass(frozen=True)
class Trial:
    """``vectors`` written in one ``way`` (patch, inject, function) after each of ``layers`` with
    each of ``strengths``, of which None puts a vector in place; text queries take those
    ``before_text`` in the stead of those of their names."""

    way: str
    vectors: Vectors
    layers: Sequence[int]
    strengths: Sequence[float | None]
    before_text: Vectors = field(default_factory=dict)


def try_out(
    adapter: Adapter, context: Context, queries: Sequence[Query], trial: Trial
) -> list[tuple[Prediction, float | None]]:
    """Every query with every vector, layer and strength of a trial, and the strength."""
    found = []
    for asked, vectors in with_vectors(queries, dict(trial.vectors), dict(trial.before_text)):
        sites = [
            Site(name, layer, strength)
            for layer in trial.layers
            for name in vectors
            for strength in trial.strengths
        ]
        answers = answered(adapter, context, asked, vectors, sites, trial.way)
        found += [(one, site.strength) for one, site in answers]
    return found
