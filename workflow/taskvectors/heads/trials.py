"""Vectors that are written into queries in one way: which, after which layers, how strongly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from taskvectors.base.tensors import read_tensors
from taskvectors.engine.sweep import Site
from taskvectors.jobs.arguments import Context, load_vectors
from taskvectors.jobs.patched import answered, with_vectors
from taskvectors.jobs.queries import Query
from taskvectors.models.base import Adapter
from taskvectors.study.heads import INJECT, SPECIFICATIONS
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
    each of ``strengths``, of which None puts a vector in place."""

    way: str
    vectors: Vectors
    layers: Sequence[int]
    strengths: Sequence[float | None]

    def sites(self) -> list[Site]:
        """All that is tried, by the names of `named`."""
        return [
            Site(f"{self.way}/{name}", layer, strength)
            for layer in self.layers
            for name in self.vectors
            for strength in self.strengths
        ]

    def named(self) -> dict[str, Tensor]:
        """The vectors by way and name: several trials share a pass."""
        return {f"{self.way}/{name}": vector for name, vector in self.vectors.items()}


def try_out(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    trials: Sequence[Trial],
    before_text: Vectors,
) -> list[tuple[Prediction, float | None]]:
    """Every query with every vector, layer and strength of all trials, and the strength.

    Text queries take those ``before_text`` in the stead of task vectors of the same name.
    """
    vectors = {name: one for trial in trials for name, one in trial.named().items()}
    instead = {f"{INJECT}/{name}": one for name, one in before_text.items()}
    sites = [site for trial in trials for site in trial.sites()]
    found = []
    for asked, own in with_vectors(queries, vectors, instead):
        answers = answered(adapter, context, asked, own, sites, way_of)
        found += [(one, site.strength) for one, site in answers]
    return found


def way_of(name: str) -> tuple[str, str]:
    """The way and the vector's own name in a name of `Trial.named`."""
    way, _, own = name.partition("/")
    return way, own
