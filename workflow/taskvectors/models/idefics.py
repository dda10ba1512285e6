"""Idefics2, whose processor expands pictures in its own way."""

from __future__ import annotations

from transformers import BatchFeature

from taskvectors.models.generic import GenericAdapter


class Idefics2Adapter(GenericAdapter):
    """64 placeholders a picture, between two frame tokens.

    Each picture is seen alone and so never padded. Published runs with transformers 4.44
    counted partly padded patches where one prompt held pictures of several sizes; those
    numbers differ a little from these.
    """

    def expanded(self, inputs: BatchFeature) -> str:
        frame, token = self.processor.fake_image_token, self.processor.image_token
        return f"{frame}{token * self.processor.image_seq_len}{frame}"
