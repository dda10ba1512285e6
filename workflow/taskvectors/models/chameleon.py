"""Chameleon, whose images are tokens of its vocabulary that it may not answer with."""

import torch
from torch import Tensor

from taskvectors.models.generic import GenericAdapter


class ChameleonAdapter(GenericAdapter):
    """Chameleon: the logits of image tokens are suppressed, as the model itself does."""

    @property
    def placeholder_id(self) -> int:
        return int(self.model.base_model.vocabulary_mapping.image_token_id)

    def logits(self, residual: Tensor) -> Tensor:
        logits = super().logits(residual)
        tokens = self.model.base_model.vocabulary_mapping.image_tokens
        logits[..., tokens] = torch.finfo(logits.dtype).min
        return logits
