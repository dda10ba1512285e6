"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: positions in three axes, features at several layers."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BatchFeature, Cache

from taskvectors.models.features import Embedded, ImageFeatures
from taskvectors.models.generic import GenericAdapter


class QwenAdapter(GenericAdapter):
    """Qwen2-VL and Qwen2.5-VL: placeholders lie on a grid of time, height and width."""

    def __init__(self, model: nn.Module, processor: Any, name: str):
        super().__init__(model, processor, name)
        self.grids: dict[str, Tensor] = {}

    @property
    def known_frame(self) -> tuple[str, str]:
        config = self.model.config
        ends = [config.vision_start_token_id, config.vision_end_token_id]
        before, after = self.tokenizer.convert_ids_to_tokens(ends)
        return before, after

    def alone(self, image: str) -> BatchFeature:
        inputs = super().alone(image)
        self.grids[image] = inputs["image_grid_thw"]
        return inputs

    def positions(self, ids: list[int], images: Sequence[str]) -> Tensor:
        """Positions (3, tokens), as the model itself lays them out."""
        tokens = torch.tensor([ids])
        positions, _ = self.model.base_model.get_rope_index(
            input_ids=tokens,
            mm_token_type_ids=(tokens == self.placeholder_id).int(),
            image_grid_thw=torch.cat([self.grids[path] for path in images]) if images else None,
        )
        return positions[:, 0]


class Qwen3Adapter(QwenAdapter):
    """Qwen3-VL adds features of the vision model's middle layers after its first layers.

    They are added after a layer's output was read or patched, at placeholders only.
    """

    growing = False  # features of images are added between its layers

    def looked_at(self, inputs: BatchFeature) -> ImageFeatures:
        """With those of the middle layers (layers, placeholders, width) beside the features."""
        output = self.seen(inputs)
        deep = torch.stack([one[0] for one in output.deepstack_features])
        return ImageFeatures(self.features_in(output), deep)

    def decode(
        self,
        inputs: Embedded,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
    ) -> None:
        extra: dict[str, Any] = {}
        if inputs.images:
            deep = torch.cat([image.beside for image in inputs.images], dim=1)
            extra["visual_pos_masks"] = inputs.places
            extra["deepstack_visual_embeds"] = list(deep.to(inputs.hidden))
        self.decoder(
            inputs_embeds=inputs.hidden,
            attention_mask=mask,
            position_ids=positions.to(self.device),
            past_key_values=cache,
            use_cache=cache is not None,
            **extra,
        )
