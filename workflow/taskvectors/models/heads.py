"""Where a decoder's attention heads are: the inputs of its layers' output projections.

A head's output is a slice of what its layer's output projection is given, as wide as the head; with
grouped queries each query head has one of its own. How a layer came to it, with queries, keys and
values in one projection or in three, does not matter here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from taskvectors.base.errors import UserError
from taskvectors.models.parts import ATTENTIONS, PROJECTIONS, first_part

LEAVE = "leave `heads` off for this model"
# Norms of an attention that stand before the scores, not between the heads and the projection.
BEFORE_SCORES = ("q_", "k_", "v_", "query_", "key_", "value_")


@dataclass(frozen=True)
class Heads:
    """``count`` heads of ``width`` in each layer, and each layer's output projection."""

    projections: tuple[nn.Module, ...]
    count: int
    width: int

    @torch.inference_mode()
    def written(self, layer: int, outputs: Tensor) -> Tensor:
        """What heads' ``outputs`` (heads, width) add up to behind the projection of ``layer``:
        (width of the residual stream), without the projection's bias."""
        projection = self.projections[layer]
        given = outputs.flatten().unsqueeze(0)
        return (projection(given) - projection(torch.zeros_like(given)))[0]

    def check(self, layer: int, head: int) -> None:
        """Raise `UserError` where there is no such head."""
        layers = len(self.projections)
        if not (0 <= layer < layers and 0 <= head < self.count):
            raise UserError(
                f"head {head} of layer {layer} does not exist: there are layers 0 to {layers - 1} "
                f"with heads 0 to {self.count - 1}; name one of those."
            )


def find_heads(layers: Sequence[nn.Module], config: Any, name: str) -> Heads:
    """The heads of a decoder's layers; ``config`` is the decoder's, ``name`` the model's.

    Raises `UserError` where they cannot be told apart: a layer without attention of the usual form,
    a norm over all heads before the projection, or layers with different heads.
    """
    attentions = [first_part(layer, ATTENTIONS, name, LEAVE) for layer in layers]
    for number, attention in enumerate(attentions):
        for child, _ in attention.named_children():
            if "norm" in child and not child.startswith(BEFORE_SCORES):
                raise UserError(
                    f"the attention of layer {number} of {name} has a norm ({child}) before its "
                    f"output projection, which mixes its heads; {LEAVE}."
                )
    projections = tuple(first_part(one, PROJECTIONS, name, LEAVE) for one in attentions)
    count = int(config.num_attention_heads)
    given = {_inputs(projection) for projection in projections}
    widths = {inputs // count for inputs in given}
    stated = {_stated_width(attention) for attention in attentions} - {None}
    if len(given) > 1 or given.pop() % count or stated - widths:
        raise UserError(
            f"the layers of {name} do not have {count} heads each, of one width, so that its heads "
            f"cannot be told apart; {LEAVE}."
        )
    return Heads(projections, count, widths.pop())


def _inputs(projection: Any) -> int:
    """How many numbers a projection is given for a token."""
    if isinstance(projection, Conv1D):  # GPT-2's linear layers, whose weights are transposed
        return int(projection.weight.shape[0])
    return int(projection.in_features)


def _stated_width(attention: Any) -> int | None:
    """A head's width as the attention states it, if it does."""
    for attribute in ("v_head_dim", "head_dim", "head_size"):
        if hasattr(attention, attribute):
            return int(getattr(attention, attribute))
    return None
