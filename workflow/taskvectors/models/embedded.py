"""The embedded vision-and-language models: SmolLM2 with a vision tower that the workflow trains.

They load through `AutoProcessor` and `AutoModelForImageTextToText` like any other model, once
this module is imported. What they see with, a closed-set lookup of names or an open projector, is
in `taskvectors.models.embedded_vision`.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import torch
from PIL import Image
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoProcessor,
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.generation import GenerationMixin
from transformers.image_processing_utils import BaseImageProcessor

from taskvectors.base.images import open_rgb
from taskvectors.models.base import Adapter
from taskvectors.models.embedded_vision import (
    NameLookup,
    OpenProjector,
    VisionTower,
    fit_to_square,
    normalised,
    on_background,
)
from taskvectors.models.features import ImageFeatures, image_named
from taskvectors.models.foreign import reading
from taskvectors.models.weights import load_weights


class EmbeddedConfig(PreTrainedConfig):
    """Configuration: the language model's, and how images become tokens.

    ``names`` are those that a closed-set lookup knows; without any, the projector is an open one,
    from ``features`` numbers through ``projector_hidden`` units. ``tokens_per_image`` placeholders
    stand for one image; ``lookup_temperature`` sharpens the lookup's probabilities; ``heads`` heads
    of the vision tower, of ``hidden`` units each with ``dropout`` in training, are averaged.
    """

    model_type = "embedded_vlm"

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        names: Sequence[str] = (),
        tokens_per_image: int = 5,
        lookup_temperature: float = 0.2,
        heads: int = 3,
        hidden: int = 512,
        dropout: float = 0.5,
        features: int = 512,
        projector_hidden: int = 512,
        image_token_id: int = 4,
        **kwargs: Any,
    ):
        if isinstance(text_config, dict):
            text_config = AutoConfig.for_model(**text_config)
        self.text_config = text_config or AutoConfig.for_model("llama")
        self.names = list(names)
        self.tokens_per_image = tokens_per_image
        self.lookup_temperature = lookup_temperature
        self.heads = heads
        self.hidden = hidden
        self.dropout = dropout
        self.features = features
        self.projector_hidden = projector_hidden
        self.image_token_id = image_token_id
        super().__init__(**kwargs)


class EmbeddedImageProcessor(BaseImageProcessor):
    """Images to ``pixel_values`` (images, 3, 160, 160), float32 in [-1, 1]."""

    model_input_names = ["pixel_values"]  # noqa: RUF012
    backend = "pil"

    def preprocess(self, images: Image.Image | Sequence[Image.Image], **_: Any) -> BatchFeature:
        images = [images] if isinstance(images, Image.Image) else list(images)
        squares = torch.stack([fit_to_square(image.convert("RGBA")) for image in images])
        return BatchFeature({"pixel_values": normalised(on_background(squares, 1.0))})


class EmbeddedProcessor(ProcessorMixin):
    """Text with the tokenizer's image token, and images, to model inputs."""

    def __init__(
        self,
        image_processor: Any = None,
        tokenizer: Any = None,
        tokens_per_image: int = 5,
        **kwargs: Any,
    ):
        self.tokens_per_image = tokens_per_image
        self.image_token = "<reponame>"  # a special token that SmolLM2's training data reserves
        super().__init__(image_processor, tokenizer, **kwargs)

    def __call__(
        self,
        images: Image.Image | Sequence[Image.Image] | None = None,
        text: str | Sequence[str] = "",
        **kwargs: Any,
    ) -> BatchFeature:
        """Expand each image token to its placeholders, tokenise, and add ``pixel_values``."""
        texts = [text] if isinstance(text, str) else list(text)
        placeholders = self.image_token * self.tokens_per_image
        texts = [one.replace(self.image_token, placeholders) for one in texts]
        data = dict(self.tokenizer(texts, **kwargs))
        if images is not None:
            data.update(self.image_processor(images))
        return BatchFeature(data)


class EmbeddedForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Vision tower, projector and language model as one checkpoint."""

    config_class = EmbeddedConfig
    main_input_name = "input_ids"
    _no_split_modules = ["LlamaDecoderLayer"]  # noqa: RUF012

    def __init__(self, config: EmbeddedConfig):
        super().__init__(config)
        names, tokens = len(config.names), config.tokens_per_image
        width = config.text_config.hidden_size
        self.vision_tower = VisionTower(
            names or config.features, config.heads, config.hidden, config.dropout
        )
        self.projector: NameLookup | OpenProjector = (
            NameLookup(names, tokens, width, config.lookup_temperature)
            if names
            else OpenProjector(config.features, config.projector_hidden, tokens, width)
        )
        # Its own configuration says how it was saved, not what is wanted of it now.
        self.language_model = AutoModelForCausalLM.from_config(
            config.text_config, dtype=torch.get_default_dtype(), trust_remote_code=False
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        """Nothing: every weight comes from the checkpoint or from training."""

    def get_decoder(self) -> nn.Module:
        return self.language_model.get_decoder()

    def get_input_embeddings(self) -> nn.Module:
        return self.language_model.get_input_embeddings()

    def get_output_embeddings(self) -> nn.Module:
        return self.language_model.get_output_embeddings()

    def get_image_features(self, pixel_values: Tensor) -> Tensor:
        """Pixels (images, 3, 160, 160) to features (images, tokens_per_image, width)."""
        return self.projector(self.vision_tower(pixel_values))

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> Any:
        """The language model's forward, with features in the stead of image placeholders."""
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
            if pixel_values is not None:
                features = self.get_image_features(pixel_values).flatten(0, 1)
                places = (input_ids == self.config.image_token_id).unsqueeze(-1)
                inputs_embeds = inputs_embeds.masked_scatter(places, features.to(inputs_embeds))
        return self.language_model(inputs_embeds=inputs_embeds, **kwargs)


AutoConfig.register("embedded_vlm", EmbeddedConfig)
AutoImageProcessor.register(EmbeddedConfig, image_processor_classes={"pil": EmbeddedImageProcessor})
AutoProcessor.register(EmbeddedConfig, EmbeddedProcessor)
AutoModelForImageTextToText.register(EmbeddedConfig, EmbeddedForConditionalGeneration)


class EmbeddedAdapter(Adapter):
    """The embedded model behind the engine's interface."""

    def __init__(self, model: nn.Module, processor: Any, name: str):
        super().__init__(model, processor, name)
        self.image_text = processor.image_token

    @classmethod
    def load(cls, folder: Path, name: str, dtype: str, device: str = "cpu") -> Self:
        model = load_weights(AutoModelForImageTextToText, folder, dtype, device)
        with reading(folder, "the processor"):
            processor = AutoProcessor.from_pretrained(folder, trust_remote_code=False)
        return cls(model, processor, name)

    @property
    def placeholder_id(self) -> int:
        return self.model.config.image_token_id

    def image_string(self, image: str, number: int) -> str:
        return self.model.config.tokens_per_image * str(self.image_text)

    @torch.inference_mode()
    def image_features(self, images: Sequence[str]) -> Iterator[ImageFeatures]:
        for first in range(0, len(images), 32):
            pixels = torch.cat([self._pixels(image) for image in images[first : first + 32]])
            found = self.model.get_image_features(pixels.to(self.device, self.dtype))
            # Copies, of which one can be dropped without the others.
            yield from (ImageFeatures(image.clone()) for image in found)

    def _pixels(self, image: str) -> Tensor:
        with image_named(self.name, image):
            return self.processor.image_processor(open_rgb(Path(image)))["pixel_values"]
