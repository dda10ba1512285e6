"""The embedded vision-and-language model: SmolLM2 with a vision tower that the workflow trains.

It loads through `AutoProcessor` and `AutoModelForImageTextToText` like any other model, once
this module is imported. The vision tower is a **closed-set lookup**: a classifier over the names it
was trained on, whose sharpened probabilities weigh the language model's own embeddings of
those names. It can see nothing but those names, and its numbers must be read so.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
import torch.nn.functional as F
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
from taskvectors.models.efficientnet import FEATURES, EfficientNetLite0
from taskvectors.models.weights import load_weights

HIDDEN = 512
SIDE, MARGIN = 160, 8  # pixels: side of the square that the vision tower sees, and its white margin
NEARLY_WHITE = 250


class EmbeddedConfig(PreTrainedConfig):
    """Configuration: the language model's, the known names, and how they become tokens.

    ``tokens_per_image`` placeholders stand for one image; ``lookup_temperature`` sharpens the
    classifier's probabilities; ``heads`` classifiers are averaged.
    """

    model_type = "embedded_vlm"

    def __init__(
        self,
        text_config: dict[str, Any] | PreTrainedConfig | None = None,
        names: Sequence[str] = (),
        tokens_per_image: int = 5,
        lookup_temperature: float = 0.2,
        heads: int = 3,
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
        self.image_token_id = image_token_id
        super().__init__(**kwargs)


def content_box(image: Image.Image) -> tuple[int, int, int, int]:
    """The box of what is not nearly white, (left, top, right, bottom); the whole if all is."""
    darkest = image.convert("RGB").convert("L").point(lambda v: 255 * (v < NEARLY_WHITE))
    return darkest.getbbox() or (0, 0, *image.size)


def fit_to_square(image: Image.Image) -> Tensor:
    """An RGBA image, cropped to its content and centred, as premultiplied (4, 160, 160).

    What is outside has alpha 0, so that a background can be chosen later.
    """
    white = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    cropped = image.crop(content_box(white))
    scale = (SIDE - 2 * MARGIN) / max(cropped.size)
    size = [max(1, round(side * scale)) for side in cropped.size]
    small = cropped.convert("RGBa").resize(size, Image.Resampling.BILINEAR)
    pixels = torch.frombuffer(bytearray(small.tobytes()), dtype=torch.uint8)
    pixels = pixels.view(small.height, small.width, 4).permute(2, 0, 1).float() / 255
    left, top = (SIDE - small.width) // 2, (SIDE - small.height) // 2
    return F.pad(pixels, (left, SIDE - small.width - left, top, SIDE - small.height - top))


def on_background(images: Tensor, background: Tensor | float) -> Tensor:
    """Premultiplied RGBA (n, 4, h, w) over an RGB background gives RGB (n, 3, h, w) in [0, 1]."""
    return images[:, :3] + (1 - images[:, 3:]) * background


def normalised(rgb: Tensor) -> Tensor:
    """RGB in [0, 1] to the backbone's input range [-1, 1]."""
    return rgb * 2 - 1


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


class VisionTower(nn.Module):
    """The vision tower: frozen backbone, standardised features, averaged classifiers of names."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, names: int, heads: int):
        super().__init__()
        self.backbone = EfficientNetLite0()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("deviation", torch.ones(FEATURES))
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(0.5),
                nn.Linear(FEATURES, HIDDEN),
                nn.BatchNorm1d(HIDDEN),
                nn.GELU(),
                nn.Dropout(0.5),
                nn.Linear(HIDDEN, names),
            )
            for _ in range(heads)
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (images, 3, 160, 160) to logits over names (images, names)."""
        features = (self.backbone(pixels) - self.mean) / self.deviation
        return torch.stack([head(features) for head in self.heads]).mean(0)


class NameLookup(nn.Module):
    """The projector: name logits to ``tokens`` input embeddings, by the names' own embeddings."""

    table: Tensor

    def __init__(self, names: int, tokens: int, width: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.register_buffer("table", torch.zeros(names, tokens, width))

    def forward(self, logits: Tensor) -> Tensor:
        """Logits (images, names) to embeddings (images, tokens, width)."""
        weights = torch.softmax(logits / self.temperature, dim=-1)
        return torch.einsum("pn,ntw->ptw", weights.to(self.table.dtype), self.table)


class EmbeddedForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """Vision tower, lookup and language model as one checkpoint."""

    config_class = EmbeddedConfig
    main_input_name = "input_ids"
    _no_split_modules = ["LlamaDecoderLayer"]  # noqa: RUF012

    def __init__(self, config: EmbeddedConfig):
        super().__init__(config)
        names = len(config.names)
        width = config.text_config.hidden_size
        self.vision_tower = VisionTower(names, config.heads)
        self.projector = NameLookup(
            names, config.tokens_per_image, width, config.lookup_temperature
        )
        # Its own configuration says how it was saved, not what is wanted of it now.
        self.language_model = AutoModelForCausalLM.from_config(
            config.text_config, dtype=torch.get_default_dtype()
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
    def load(cls, folder: Path, name: str, dtype: str) -> Self:
        model = load_weights(AutoModelForImageTextToText, folder, dtype)
        return cls(model, AutoProcessor.from_pretrained(folder), name)

    @property
    def placeholder_id(self) -> int:
        return self.model.config.image_token_id

    def image_string(self, image: str, number: int) -> str:
        return self.model.config.tokens_per_image * str(self.image_text)

    @torch.inference_mode()
    def image_features(self, images: Sequence[str]) -> list[Tensor]:
        features: list[Tensor] = []
        for first in range(0, len(images), 32):
            opened = [open_rgb(Path(path)) for path in images[first : first + 32]]
            pixels = self.processor.image_processor(opened)["pixel_values"]
            features += self.model.get_image_features(pixels.to(self.device, self.dtype))
        return features
