"""The tasks that are looked at more closely, each with its test items and its vectors."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from taskvectors.jobs.arguments import load_vectors
from taskvectors.models.base import Adapter
from taskvectors.study.datasets import ExemplarSet, Item, read_exemplar_sets, read_items
from taskvectors.study.predictions import ICL_MODALITY
from taskvectors.study.prompts import Template
from taskvectors.study.tasks import Task
from taskvectors.study.vectors import parse_vector_name


@dataclass(frozen=True)
class Studied:
    """A task with its test items, all its exemplar sets, and its vectors (layers, width).

    Subsets and ensembles are not among the vectors.
    """

    task: Task
    items: list[Item]
    sets: list[ExemplarSet]
    vectors: dict[str, Tensor]


@dataclass(frozen=True)
class Setting:
    """What all answers of a job have in common; ``layer`` is the one that validation chose."""

    adapter: Adapter
    model: str
    template: Template
    layer: int
    seeds: tuple[int, ...]


def read_studied(adapter: Adapter, task: Task, items: Path, sets: Path, averaged: Path) -> Studied:
    """A task from its ``test.jsonl``, ``exemplars.jsonl`` and ``vectors.safetensors``.

    Raises `UserError` where a file is missing or vectors do not fit the model.
    """
    vectors = {
        name: vector
        for name, vector in load_vectors(adapter, averaged).items()
        if parse_vector_name(name)[0] in ICL_MODALITY
    }
    return Studied(task, read_items(items), read_exemplar_sets(sets), vectors)
