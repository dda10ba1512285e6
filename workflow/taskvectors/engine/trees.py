"""Rows of tokens that branch: a trunk, and spans that continue it without seeing each other.

One row asks several questions of one context in one forward pass. A span sees itself up to
each token and all of its trunk, through a 4-D attention mask; its positions continue the
trunk's. Padding sees only itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from taskvectors.models.base import Encoded

Item = TypeVar("Item")
PADDING = 0.15  # of a row's tokens; what is padded costs as much as what is not


@dataclass(frozen=True)
class Span:
    """Consecutive tokens: ``ids``, their ``positions`` (axes, tokens) and ``images``."""

    ids: list[int]
    positions: Tensor
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A trunk and the branches that continue it."""

    trunk: Span
    branches: tuple[Span, ...] = ()

    @property
    def spans(self) -> tuple[Span, ...]:
        return (self.trunk, *self.branches)

    @property
    def starts(self) -> list[int]:
        """Where each span begins in the row, the trunk first."""
        starts, total = [], 0
        for span in self.spans:
            starts.append(total)
            total += len(span.ids)
        return starts

    def __len__(self) -> int:
        return sum(len(span.ids) for span in self.spans)


def whole(encoded: Encoded) -> Row:
    """A plain prompt as a row without branches."""
    return Row(Span(encoded.ids, encoded.positions, encoded.images))


def cut(encoded: Encoded, at: int) -> tuple[Span, Span]:
    """The prompt's tokens before index ``at``, and the rest; no image may span the cut."""
    before = sum(end <= at for end in encoded.image_ends)
    return (
        Span(encoded.ids[:at], encoded.positions[:, :at], encoded.images[:before]),
        Span(encoded.ids[at:], encoded.positions[:, at:], encoded.images[before:]),
    )


@dataclass(frozen=True)
class Batch:
    """Rows padded to one length on the right.

    ids (rows, tokens), positions (axes, rows, tokens), mask (rows, 1, tokens, tokens) with
    True where attention is allowed, and the images of all rows in order.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    images: tuple[str, ...]


def batch_rows(rows: Sequence[Row], pad_id: int) -> Batch:
    """Lay rows out for one forward pass."""
    longest = max(len(row) for row in rows)
    axes = rows[0].trunk.positions.shape[0]
    ids = torch.full((len(rows), longest), pad_id)
    positions = torch.zeros((axes, len(rows), longest), dtype=torch.long)
    mask = torch.eye(longest, dtype=torch.bool).repeat(len(rows), 1, 1)
    images: list[str] = []
    for number, row in enumerate(rows):
        trunk = len(row.trunk.ids)
        for start, span in zip(row.starts, row.spans, strict=True):
            end = start + len(span.ids)
            ids[number, start:end] = torch.tensor(span.ids, dtype=torch.long)
            positions[:, number, start:end] = span.positions
            own = torch.ones(len(span.ids), len(span.ids), dtype=torch.bool).tril()
            mask[number, start:end, start:end] = own
            if start:
                mask[number, start:end, :trunk] = True
            images += span.images
    return Batch(ids, positions, mask.unsqueeze(1), tuple(images))


def packed(items: Sequence[Item], lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group item numbers into batches of like lengths, each at most ``budget`` tokens padded.

    An item longer than the budget is a batch of its own, and no row of a batch is padded by
    more than `PADDING`.
    """
    order = sorted(range(len(items)), key=lambda number: lengths[number])
    group: list[int] = []
    for number in order:
        if group and (
            lengths[number] * (len(group) + 1) > budget
            or lengths[number] > (1 + PADDING) * lengths[group[0]]
        ):
            yield group
            group = []
        group.append(number)
    if group:
        yield group
