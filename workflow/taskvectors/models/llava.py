"""LLaVA-v1.5 and LLaVA-OneVision."""

from pathlib import Path
from typing import Any

from torch import Tensor, nn
from transformers import BatchFeature, CLIPVisionConfig

from taskvectors.base.images import open_rgb
from taskvectors.models.generic import GenericAdapter


class LlavaAdapter(GenericAdapter):
    """LLaVA: the processor must be told what the vision tower looks like.

    The files of the first checkpoints say nothing of it, and then there is one placeholder too
    few, since the class token that the model drops is dropped from the count twice.
    """

    def __init__(self, model: nn.Module, processor: Any, name: str):
        super().__init__(model, processor, name)
        vision = self.model.config.vision_config
        if isinstance(vision, CLIPVisionConfig):
            processor.patch_size = vision.patch_size
            processor.num_additional_image_tokens = 1
            processor.vision_feature_select_strategy = (
                self.model.config.vision_feature_select_strategy
            )


class LlavaOnevisionAdapter(GenericAdapter):
    """LLaVA-OneVision: an image is always laid out as one of several.

    Its processor cuts a lone image into tiles and leaves several whole; an image must not
    look different in a query than among exemplars.
    """

    def alone(self, image: str) -> BatchFeature:
        opened = open_rgb(Path(image))
        return self.processor(
            text=[2 * self.framed(str(self.image_text))],
            images=[[opened, opened]],
            return_tensors="pt",
            return_text_replacement_offsets=True,
        )

    def features_in(self, output: Any) -> Tensor:
        # A copy, which does not keep the second image.
        return output.pooler_output[0].clone()
