"""Vectors of prompts whose exemplars were exchanged, read as `taskvectors.read` reads the real ones
and averaged as `taskvectors.average` does."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from taskvectors.engine.forward import run
from taskvectors.engine.memory import within_memory
from taskvectors.engine.patching import TOKENS_PER_PASS
from taskvectors.engine.trees import Row, cut, packed, whole
from taskvectors.jobs.queries import asked, modalities_of, same_exemplars
from taskvectors.models.base import Adapter
from taskvectors.study.datasets import Item
from taskvectors.study.predictions import ICL_MODALITY
from taskvectors.study.prompts import EXEMPLAR, Template
from taskvectors.study.vectors import BEFORE_TEXT


@dataclass(frozen=True)
class ShownSet:
    """An exemplar set as it is shown: its exemplars, and the item that is asked after them."""

    exemplars: tuple[Item, ...]
    query: Item


@dataclass(frozen=True)
class ExemplarRow:
    """A row that is read at one token, the last exemplar's delimiter."""

    row: Row
    read_at: int


def mean_vectors(
    adapter: Adapter, template: Template, shown: Sequence[ShownSet], specification: str
) -> dict[str, Tensor]:
    """The mean residual stream (layers, width) at the last exemplar's delimiter, in float32.

    By specification: of a model that lays out exemplars in other tokens before a text query, there
    is a second one, ``text_icl_before_text`` (`taskvectors.study.vectors.take_before_text`).
    """
    planned = [exemplar_rows(adapter, template, one, specification) for one in shown]
    # The last is the image query's, where the model takes images.
    by_query = list(zip(*planned, strict=True))[::-1]
    return {
        specification + suffix: read_ends(adapter, rows).float().mean(0)
        for suffix, rows in zip(("", BEFORE_TEXT), by_query, strict=False)
    }


def exemplar_rows(
    adapter: Adapter, template: Template, shown: ShownSet, specification: str
) -> list[ExemplarRow]:
    """One row, or one for each modality of the query where the exemplars' tokens depend on it."""
    modality = ICL_MODALITY[specification]
    context = template.exemplars([(asked(item, modality), item.label) for item in shown.exemplars])
    prompts = [
        adapter.encode((*context, *template.query(asked(shown.query, each))))
        for each in modalities_of(adapter)
    ]
    rows = []
    for prompt in prompts[-1:] if same_exemplars(prompts) else prompts:
        at = prompt.marks[EXEMPLAR.name]
        # Where rows take no branches, tokens may see an image that stands after them.
        row = Row(cut(prompt, at + 1)[0]) if adapter.branching else whole(prompt)
        rows.append(ExemplarRow(row, at))
    return rows


def read_ends(adapter: Adapter, rows: Sequence[ExemplarRow]) -> Tensor:
    """The residual streams (rows, layers, width) at each row's delimiter."""

    def read_batch(batch: Sequence[int]) -> list[tuple[int, Tensor]]:
        reads = [(place, rows[number].read_at) for place, number in enumerate(batch)]
        found, _ = run(adapter, [rows[number].row for number in batch], reads)
        return list(zip(batch, found, strict=True))

    read: dict[int, Tensor] = {}
    for group in packed(rows, [len(one.row) for one in rows], TOKENS_PER_PASS):
        read.update(within_memory(group, read_batch))
    return torch.stack([read[number] for number in range(len(rows))])
