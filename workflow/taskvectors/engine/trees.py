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

    ids (rows, tokens), positions (axes, rows, tokens), and the images of all rows in order.
    ``spans`` (rows, tokens) numbers the span that each token is of: 0 is the trunk, and every
    token of padding has a negative number of its own.
    """

    ids: Tensor
    positions: Tensor
    spans: Tensor
    images: tuple[str, ...]


def batch_rows(rows: Sequence[Row], pad_id: int) -> Batch:
    """Lay rows out for one forward pass."""
    ids = [[token for span in row.spans for token in span.ids] for row in rows]
    longest = max(map(len, ids))
    positions = torch.zeros((len(rows[0].trunk.positions), len(rows), longest), dtype=torch.long)
    numbers = torch.empty((len(rows), longest), dtype=torch.int32)
    for row, own, places, of_span in zip(rows, ids, positions.unbind(1), numbers, strict=True):
        filled, padding = len(own), longest - len(own)
        torch.cat([span.positions for span in row.spans], dim=1, out=places[:, :filled])
        lengths = torch.tensor([len(span.ids) for span in row.spans])
        of_span[:filled] = torch.arange(len(lengths)).repeat_interleave(lengths)
        of_span[filled:] = torch.arange(-padding, 0)
        own += [pad_id] * padding
    images = tuple(image for row in rows for span in row.spans for image in span.images)
    return Batch(torch.tensor(ids), positions, numbers, images)


def visible(spans: Tensor) -> Tensor:
    """Who sees whom, (rows, 1, tokens, tokens): a token its own span up to itself, and its trunk.

    ``spans`` are a `Batch`'s; the result is on their device.
    """
    asks, asked = spans.unsqueeze(2), spans.unsqueeze(1)
    length = spans.shape[1]
    past = torch.ones((length, length), dtype=torch.bool, device=spans.device).tril()
    return ((asks == asked) | ((asked == 0) & (asks > 0))).logical_and_(past).unsqueeze(1)


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
