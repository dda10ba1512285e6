"""LLaVA-v1.5 and LLaVA-OneVision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import BatchFeature, CLIPVisionConfig, ProcessorMixin

from taskvectors.models.generic import GenericAdapter
from taskvectors.pictures import open_rgb


class LlavaAdapter(GenericAdapter):
    """LLaVA: the processor must be told what the vision tower looks like.

    The files of the first checkpoints say nothing of it, and then there is one placeholder too
    few, since the class token that the model drops is dropped from the count twice.
    """

    def __init__(self, model: nn.Module, processor: ProcessorMixin, name: str):
        super().__init__(model, processor, name)
        vision = model.config.vision_config
        if isinstance(vision, CLIPVisionConfig):
            processor.patch_size = vision.patch_size
            processor.num_additional_image_tokens = 1
            processor.vision_feature_select_strategy = model.config.vision_feature_select_strategy


class LlavaOnevisionAdapter(GenericAdapter):
    """LLaVA-OneVision: a picture is always laid out as one of several.

    Its processor cuts a lone picture into tiles and leaves several whole; a picture must not
    look different in a query than among exemplars.
    """

    def alone(self, picture: str) -> BatchFeature:
        image = open_rgb(Path(picture))
        return self.processor(
            text=[2 * str(self.picture_text)],
            images=[[image, image]],
            return_tensors="pt",
            return_text_replacement_offsets=True,
        )

    def features_in(self, output: Any) -> Tensor:
        return output.pooler_output[0]
