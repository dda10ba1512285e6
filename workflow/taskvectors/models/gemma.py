"""Gemma 3, in which a picture's tokens see each other in both directions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import ProcessorMixin

from taskvectors.models.generic import GenericAdapter


class Gemma3Adapter(GenericAdapter):
    """Gemma 3: pictures are read in both directions, whatever the layer's window.

    A branch that ends in a picture would run into one that begins with one; a query never
    does, since it ends in a delimiter.
    """

    def __init__(self, model: nn.Module, processor: ProcessorMixin, name: str):
        super().__init__(model, processor, name)
        self.places: Tensor | None = None

    def embed(self, ids: Tensor, pictures: Sequence[str]) -> Tensor:
        """Remembers where the pictures are, since `layer_masks` sees positions only."""
        self.places = (ids == self.placeholder_id).to(self.device)
        return super().embed(ids, pictures)

    def layer_masks(self, mask: Tensor, positions: Tensor) -> dict[str, Tensor]:
        starts = self.places & ~nn.functional.pad(self.places, (1, 0))[:, :-1]
        block = torch.where(self.places, starts.cumsum(dim=1), 0)
        same = (block[:, :, None] == block[:, None, :]) & self.places[:, :, None]
        masks = super().layer_masks(mask, positions)
        kinds = masks if isinstance(masks, dict) else {"full_attention": masks}
        return {kind: one.masked_fill(same[:, None], 0) for kind, one in kinds.items()}
