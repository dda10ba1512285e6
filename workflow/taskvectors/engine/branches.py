"""A pass in which every branch begins at the layer where it is changed.

A copy of the delimiter that is changed in layer l is before it what the trunk's own delimiter is:
computing it there would be the trunk's work once more. So the residual stream grows: branches are
put at its end at their layer, and each layer is handed only the columns that there are by then.
Columns of the mask and of the positions follow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from taskvectors.engine.forward import decode_rows, hooked, layer_hooks, written
from taskvectors.engine.trees import Row, Span, cut
from taskvectors.models.base import Adapter, Encoded

# Which dimensions of a decoder layer's arguments are tokens.
TOKENS = {
    "attention_mask": (-2, -1),
    "position_ids": (-1,),
    "position_embeddings": (-2,),
    "cache_position": (-1,),
}


@dataclass(frozen=True)
class Growth:
    """How many branches begin at each layer (``begin``), from column ``first`` on, layer by
    layer."""

    first: int
    begin: Sequence[int]

    @cached_property
    def columns(self) -> list[int]:
        """How many columns there are before each layer's branches, and after the last's."""
        return list(accumulate(self.begin, initial=self.first))

    def grown(self, layer: int, hidden: Tensor, branches: Tensor) -> Tensor:
        """A residual stream with ``branches`` (rows, branches of ``layer``, width) in their
        columns, be those there already or not."""
        here, after = hidden[:, : self.columns[layer]], hidden[:, self.columns[layer + 1] :]
        return torch.cat([here, branches, after], dim=1)

    def delimiter(self, hidden: Tensor) -> Tensor:
        """The delimiter's own residual stream (rows, 1, width), where it stands before all
        branches, for those that start from it."""
        return hidden[:, self.first - 1 : self.first]


@dataclass(frozen=True)
class LayerWrite:
    """The ``vectors`` (branches, width) of one layer's branches; where ``added`` says so (branches,
    bool; None if nowhere), added to the delimiter's own residual stream."""

    vectors: Tensor
    added: Tensor | None = None


def branching(encoded: Encoded, copies: int, longest: int) -> Row:
    """The prompt with ``copies`` of its last token as branches, which begin where they do in a
    prompt of the ``longest``."""
    trunk, last = cut(encoded, len(encoded.ids) - 1)
    return Row(trunk, (Span(last.ids, last.positions),) * copies, longest - len(encoded.ids))


def ends_of_branches(
    adapter: Adapter, rows: Sequence[Row], growth: Growth, writes: Mapping[int, LayerWrite]
) -> Tensor:
    """The last residual streams (rows, branches, width) of the branches of each row, in order; all
    rows are as long as each other."""

    def visit(layer: int, hidden: Tensor) -> Tensor | None:
        write = writes.get(layer)
        if write is None:
            return None
        begun = write.vectors.expand(len(hidden), -1, -1)
        if write.added is not None:
            begun = written(growth.delimiter(hidden), begun, write.added)
        return growth.grown(layer, hidden, begun)

    return end_of_pass(adapter, rows, growth.columns, visit)[:, growth.first :]


@torch.inference_mode()
def end_of_pass(
    adapter: Adapter,
    rows: Sequence[Row],
    columns: Sequence[int],
    visit: Callable[[int, Tensor], Tensor | None] = lambda _layer, _hidden: None,
) -> Tensor:
    """The last residual streams (rows, columns, width) of a pass in which each layer is handed so
    many ``columns``, and ``visit`` is called with its output."""
    final: list[Tensor] = []

    def visit_and_keep(layer: int, hidden: Tensor) -> Tensor | None:
        changed = visit(layer, hidden)
        if layer == len(adapter.layers) - 1:
            final.append(hidden if changed is None else changed)
        return changed

    with ExitStack() as hooks:
        if adapter.growing:
            hooks.enter_context(handed_columns(adapter, columns))
        hooks.enter_context(layer_hooks(adapter, visit_and_keep))
        decode_rows(adapter, rows)
    return final[0]


@contextmanager
def handed_columns(adapter: Adapter, columns: Sequence[int]) -> Iterator[None]:
    """Hand each layer only its first ``columns``."""

    def hook_of(count: int) -> Any:
        def hook(_layer: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
            hidden, *others = args
            # What is given without a name can only be told by its shape: a mask.
            rest = (first_tokens(one, count, (-2, -1)) for one in others)
            shorter = {
                name: first_tokens(value, count, TOKENS[name]) if name in TOKENS else value
                for name, value in named.items()
            }
            return (hidden[:, :count], *rest), shorter

        return hook

    handles = [
        layer.register_forward_pre_hook(hook_of(count), with_kwargs=True)
        for layer, count in zip(adapter.layers, columns, strict=False)
    ]
    with hooked(handles):
        yield


def first_tokens(value: Any, count: int, dimensions: Sequence[int]) -> Any:
    """The first ``count`` tokens of a tensor, or of each in a tuple, in these dimensions."""
    if isinstance(value, tuple):
        return tuple(first_tokens(one, count, dimensions) for one in value)
    if isinstance(value, Tensor):
        for dimension in dimensions:
            value = value.narrow(dimension, 0, min(count, value.shape[dimension]))
    return value
