"""Gemma 3, in which an image's tokens see each other in both directions."""

import torch
from torch import Tensor, nn

from taskvectors.models.features import Embedded
from taskvectors.models.generic import GenericAdapter


class Gemma3Adapter(GenericAdapter):
    """Gemma 3: an image's tokens see each other in both directions, but behind them only as far as
    the layer's window reaches.

    A branch that ends in an image would run into one that begins with one; a query never
    does, since it ends in a delimiter.
    """

    def layer_masks(self, mask: Tensor, positions: Tensor, inputs: Embedded) -> dict[str, Tensor]:
        places = inputs.places
        starts = places & ~nn.functional.pad(places, (1, 0))[:, :-1]
        block = torch.where(places, starts.cumsum(dim=1), 0)
        same = (block[:, :, None] == block[:, None, :]) & places[:, :, None]
        masks = super().layer_masks(mask.masked_fill(same[:, None], 0), positions, inputs)
        return masks if isinstance(masks, dict) else {"full_attention": masks}
