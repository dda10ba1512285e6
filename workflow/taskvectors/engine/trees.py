"""Rows of tokens that branch: a trunk, and spans that continue it without seeing each other.

One row asks several questions of one context in one forward pass. A span sees itself up to
each token and all of its trunk, through a 4-D attention mask; its positions continue the
trunk's. Padding sees only itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby
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
    """A trunk and the branches that continue it, after so many tokens of ``padding``."""

    trunk: Span
    branches: tuple[Span, ...] = ()
    padding: int = 0

    @property
    def spans(self) -> tuple[Span, ...]:
        return (self.trunk, *self.branches)

    @property
    def starts(self) -> list[int]:
        """Where each span begins in the row, the trunk first."""
        lengths = [len(self.trunk.ids) + self.padding, *(len(one.ids) for one in self.branches)]
        return [0, *accumulate(lengths[:-1])] if self.branches else [0]

    def __len__(self) -> int:
        return self.padding + sum(len(span.ids) for span in self.spans)


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


def continued(encoded: Encoded, ids: Sequence[int]) -> Encoded:
    """The prompt with more tokens, of text, after it."""
    after = encoded.positions[:, -1:] + torch.arange(1, 1 + len(ids))
    positions = torch.cat([encoded.positions, after], dim=1)
    return replace(encoded, ids=[*encoded.ids, *ids], positions=positions)


@dataclass(frozen=True)
class Batch:
    """Rows padded to one length on the right, and between trunk and branches where they say so.

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
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), pad_id)
    positions = torch.zeros((len(rows[0].trunk.positions), len(rows), longest), dtype=torch.long)
    numbers = torch.arange(-longest, 0, dtype=torch.int32).repeat(len(rows), 1)
    for number, row in enumerate(rows):
        # The copies of a delimiter are one span, laid out once and repeated.
        runs = [list(same) for _, same in groupby(row.spans, id)]
        ids_of_row = [token for same in runs for token in same[0].ids * len(same)]
        positions_of_row = [same[0].positions.repeat(1, len(same)) for same in runs]
        lengths = [len(span.ids) for span in row.spans]
        of_span = torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths))
        # Padding stands between the trunk and what branches off it.
        at = torch.arange(len(ids_of_row)) + (of_span > 0) * row.padding
        ids[number, at] = torch.tensor(ids_of_row)
        positions[:, number, at] = torch.cat(positions_of_row, dim=1)
        numbers[number, at] = of_span.int()
    images = tuple(image for row in rows for span in row.spans for image in span.images)
    return Batch(ids, positions, numbers, images)


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
