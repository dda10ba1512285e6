"""Idefics2, whose processor expands images in its own way."""

from pathlib import Path

from transformers import BatchFeature

from taskvectors.models.generic import GenericAdapter


class Idefics2Adapter(GenericAdapter):
    """64 placeholders an image, between two frame tokens.

    Each image is seen alone and so never padded.
    """

    def notes(self, folder: Path) -> list[str]:
        return [
            "Published runs with transformers 4.44 counted partly padded patches where one prompt "
            "held images of several sizes; here no image is padded, so numbers differ a little."
        ]

    def expanded(self, inputs: BatchFeature) -> str:
        frame, token = self.processor.fake_image_token, self.processor.image_token
        return f"{frame}{token * self.processor.image_seq_len}{frame}"
