"""A pass in which every branch begins at the layer where it is patched.

A copy of the delimiter that is patched after layer l is in all layers up to l what the trunk's own
delimiter is: computing it there would be the trunk's work once more. So the residual stream grows:
after layer l the vectors of that layer's branches are put at its end, and each layer is handed only
the columns that there are by then. Columns of the mask and of the positions follow.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from taskvectors.engine.forward import Answer, decode_rows, layer_hooks, read_answers
from taskvectors.engine.trees import Row
from taskvectors.models.base import Adapter

# Which dimensions of a decoder layer's arguments are tokens.
TOKENS = {
    "attention_mask": (-2, -1),
    "position_ids": (-1,),
    "position_embeddings": (-2,),
    "cache_position": (-1,),
}


@dataclass(frozen=True)
class Growth:
    """Where each layer's branches stand: ``vectors`` (branches, width) by layer, in the order of
    the layers, from column ``first`` on."""

    first: int
    vectors: Mapping[int, Tensor]

    @property
    def count(self) -> int:
        """How many branches there are."""
        return sum(map(len, self.vectors.values()))

    def columns(self, layers: int) -> list[int]:
        """How many columns there are before each layer, and after the last."""
        columns = [self.first]
        for layer in range(layers):
            columns.append(columns[-1] + len(self.vectors.get(layer, ())))
        return columns


@torch.inference_mode()
def answers_of_branches(
    adapter: Adapter, rows: Sequence[Row], growth: Growth
) -> list[list[Answer]]:
    """What the branches of each row answer, in order; all rows are as long as each other."""
    columns = growth.columns(len(adapter.layers))
    final: list[Tensor] = []

    def visit(layer: int, hidden: Tensor) -> Tensor | None:
        vectors = growth.vectors.get(layer)
        if vectors is not None:
            here, after = hidden[:, : columns[layer]], hidden[:, columns[layer + 1] :]
            hidden = torch.cat([here, vectors.expand(len(hidden), -1, -1), after], dim=1)
        if layer == len(adapter.layers) - 1:
            final.append(hidden[:, growth.first :].flatten(0, 1))
        return hidden

    with ExitStack() as hooks:
        if adapter.growing:
            hooks.enter_context(handed_columns(adapter, columns))
        hooks.enter_context(layer_hooks(adapter, visit))
        decode_rows(adapter, rows)
    answers = read_answers(adapter, final[0])
    return [answers[row * growth.count :][: growth.count] for row in range(len(rows))]


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
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def first_tokens(value: Any, count: int, dimensions: Sequence[int]) -> Any:
    """The first ``count`` tokens of a tensor, or of each in a tuple, in these dimensions."""
    if isinstance(value, tuple):
        return tuple(first_tokens(one, count, dimensions) for one in value)
    if isinstance(value, Tensor):
        for dimension in dimensions:
            value = value.narrow(dimension, 0, min(count, value.shape[dimension]))
    return value
