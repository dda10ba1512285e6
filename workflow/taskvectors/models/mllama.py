"""Llama 3.2 Vision, whose images are not tokens: some layers look across at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, Cache

from taskvectors.base.images import open_rgb
from taskvectors.models.features import Embedded, ImageFeatures
from taskvectors.models.generic import GenericAdapter


class MllamaAdapter(GenericAdapter):
    """Llama 3.2 Vision: one token stands for an image, and cross-attention layers see it.

    A token sees the last image before it. Tokens before the first image see all images in those
    layers' attention, as the model itself has it, so that a prompt's beginning depends on its
    images and rows cannot hold branches. Without an image those layers change nothing; the model
    skips them, and here they look at zeros, so that they can be read and patched all the same.
    """

    branching = False

    def alone(self, image: str) -> BatchFeature:
        return self.processor.image_processor([[open_rgb(Path(image))]], return_tensors="pt")

    def unframed(self, image: str, number: int) -> str:
        return str(self.image_text)

    def looked_at(self, inputs: BatchFeature) -> ImageFeatures:
        """Features (1, tiles x patches, width) and beside them which are of filled tiles."""
        inputs = inputs.to(self.device)
        base = self.model.base_model
        seen = base.vision_model(
            pixel_values=inputs["pixel_values"].to(self.dtype),
            aspect_ratio_ids=inputs["aspect_ratio_ids"],
            aspect_ratio_mask=inputs["aspect_ratio_mask"],
        ).last_hidden_state
        features = base.multi_modal_projector(seen).reshape(1, -1, self.width)
        filled = inputs["aspect_ratio_mask"].flatten().bool()
        return ImageFeatures(features, filled.repeat_interleave(seen.shape[-2]))

    def embed(self, ids: Tensor, images: Sequence[str]) -> Embedded:
        places = ids == self.placeholder_id
        shown = self.shown(images, places)
        hidden = self.model.get_input_embeddings()(ids.to(self.device))
        return Embedded(hidden, places.to(self.device), shown)

    def decode(
        self,
        inputs: Embedded,
        positions: Tensor,
        mask: Tensor | None,
        cache: Cache | None = None,
    ) -> None:
        first = cache is None or cache.get_seq_length() == 0
        self.decoder(
            inputs_embeds=inputs.hidden,
            attention_mask=mask,
            position_ids=positions[0].to(self.device),
            past_key_values=cache,
            use_cache=cache is not None,
            **(self._across(inputs) if first else self._still_across(cache)),
        )
        if first and cache is not None:
            self._keep_last_image(inputs, cache)

    def _across(self, inputs: Embedded) -> dict[str, Tensor]:
        """What the cross-attention layers look at: states (rows, longest, width), an additive mask
        (rows, 1, tokens, longest), and (rows, 1, tokens, 1) whether a token sees an image."""
        rows, tokens, width = inputs.hidden.shape
        number = inputs.places.cumsum(dim=1)  # of the last image before a token; 0 is none
        images = iter(inputs.images)
        shown = [[next(images) for _ in range(count)] for count in number[:, -1].tolist()]
        features = [[image.features[0] for image in row] for row in shown]
        longest = max(1, *(sum(map(len, row)) for row in features))
        states = inputs.hidden.new_zeros(rows, longest, width)
        allowed = torch.zeros(rows, tokens, longest, dtype=torch.bool, device=self.device)
        for row, (names, found) in enumerate(zip(shown, features, strict=True)):
            end = 0
            for place, (image, one) in enumerate(zip(names, found, strict=True), start=1):
                start, end = end, end + len(one)
                states[row, start:end] = one.to(states)
                sees = (number[row] == place)[:, None] & image.beside
                allowed[row, :, start:end] = sees
            allowed[row, number[row] == 0, : max(1, end)] = True
        least = torch.finfo(states.dtype).min
        mask = torch.zeros_like(allowed, dtype=states.dtype).masked_fill(~allowed, least)
        seeing = (number > 0).to(states.dtype)
        return {
            "cross_attention_states": states,
            "cross_attention_mask": mask[:, None],
            "full_text_row_masked_out_mask": seeing[:, None, :, None],
        }

    def _still_across(self, cache: Any) -> dict[str, Tensor]:
        """The same for one more token a row: keys that are zero are those of no image."""
        keys = cache.layers[self.decoder.config.cross_attention_layers[0]].keys
        seeing = (keys != 0).flatten(1).any(dim=1).to(keys.dtype)
        return {"full_text_row_masked_out_mask": seeing[:, None, None, None]}

    def _keep_last_image(self, inputs: Embedded, cache: Any) -> None:
        """Leave in the cache only what later tokens see: the filled tiles of the last image."""
        if not inputs.images:
            return
        filled = inputs.images[-1].beside
        for index in self.decoder.config.cross_attention_layers:
            layer = cache.layers[index]
            layer.keys = layer.keys[:, :, -len(filled) :][:, :, filled]
            layer.values = layer.values[:, :, -len(filled) :][:, :, filled]
