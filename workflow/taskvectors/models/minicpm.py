"""MiniCPM-V 4.6, whose language model has recurrent layers."""

from pathlib import Path
from typing import Any

from torch import nn
from transformers import BatchFeature

from taskvectors.base.images import open_rgb
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.text import UnmaskedTextAdapter


class MiniCpmAdapter(GenericAdapter):
    """MiniCPM-V 4.6: an image has its number in the prompt before it, and is not cut into slices.

    Its recurrent layers take no mask, so that rows cannot hold branches.
    """

    branching = False
    videos = True

    def __init__(self, model: nn.Module, processor: Any, name: str):
        super().__init__(model, processor, name)
        processor.image_processor.slice_mode = False

    def alone(self, image: str) -> BatchFeature:
        return self.processor(
            text=[self.framed(str(self.image_text))],
            images=[open_rgb(Path(image))],
            use_image_id=False,
            return_text_replacement_offsets=True,
        )

    def unframed(self, image: str, number: int) -> str:
        before, after = self.processor.image_id_start_token, self.processor.image_id_end_token
        return f"{before}{number}{after}{super().unframed(image, number)}"

    decode = UnmaskedTextAdapter.decode
