"""Any image-text-to-text model whose decoder takes features in its placeholders' stead.

The processor says what stands for an image and which pixels go with it; the model's own
``get_image_features`` makes the features. Both see one image at a time, so that a
image's features do not depend on the prompt it stands in.
"""

import inspect
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import (
    AutoImageProcessor,
    AutoModelForImageTextToText,
    BatchFeature,
    PreTrainedConfig,
    ProcessorMixin,
)
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING, processor_class_from_name

from taskvectors.base.files import read_json
from taskvectors.base.images import open_rgb
from taskvectors.models.base import Adapter
from taskvectors.models.features import (
    PIXEL_BYTES,
    ImageFeatures,
    Recent,
    image_named,
    pixel_bytes,
)
from taskvectors.models.foreign import load_config, load_tokenizer, reading
from taskvectors.models.tokens import check_tokens
from taskvectors.models.turns import frame_of, own_template
from taskvectors.models.weights import load_weights


def without_videos(kind: Any) -> Any:
    """A processor class that does without its video part, which needs torchvision."""

    class ImagesOnly(kind):
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == "video_processor":
                return None
            return super().check_argument_for_proper_class(argument_name, argument)

    return ImagesOnly


def processor_kind(folder: Path, config: PreTrainedConfig) -> Any:
    """The processor class that a checkpoint names, e.g. Pixtral's for a LLaVA with its tower.

    Where transformers does not know it, being of the authors' own code, the architecture's.
    """
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer_config.json"):
        path = folder / name
        named = read_json(path).get("processor_class") if path.is_file() else None
        kind = processor_class_from_name(named) if named else None
        if kind is not None:
            return kind
    return PROCESSOR_MAPPING[type(config)]


def load_processor(folder: Path, config: PreTrainedConfig, videos: bool = False) -> ProcessorMixin:
    """The processor of a checkpoint, without its video part.

    With ``videos`` its image part stands in that one's place, where a processor asks it for
    settings that both have.

    Raises `UserError` where the folder lacks files, or a package that the processor needs is
    missing.
    """
    with reading(folder, f"the processor for {config.model_type}"):
        kind = processor_kind(folder, config)
        names = kind.get_attributes()
        if "video_processor" not in names:
            return kind.from_pretrained(folder, trust_remote_code=False)
        images = AutoImageProcessor.from_pretrained(folder, trust_remote_code=False)
        parts = {
            "tokenizer": load_tokenizer(folder),
            "image_processor": images,
            "video_processor": images if videos else None,
        }
        settings, _ = kind.get_processor_dict(folder)
        arguments = [parts[name] for name in names]
        return without_videos(kind).from_args_and_dict(arguments, settings)


class GenericAdapter(Adapter):
    """A model and its processor behind the engine's interface."""

    #: Whether the processor cannot be made without a video part.
    videos: bool = False

    def __init__(self, model: nn.Module, processor: Any, name: str):
        super().__init__(model, processor, name)
        self.image_text = processor.image_token
        self.strings: dict[str, str] = {}
        # What was opened for its placeholders is not opened again for its features.
        self.waiting = Recent(PIXEL_BYTES, pixel_bytes)
        # Tiles are for images larger than those of this study, and make five or more of one.
        if hasattr(processor.image_processor, "do_image_splitting"):
            processor.image_processor.do_image_splitting = False
        settings = getattr(processor, "images_kwargs", {})
        if "crop_to_patches" in settings:
            processor.images_kwargs = {**settings, "crop_to_patches": False}

    @classmethod
    def load(cls, folder: Path, name: str, dtype: str, device: str = "cpu") -> Self:
        config = cls.configure(folder)
        processor: Any = load_processor(folder, config, cls.videos)
        with reading(folder, "the tokenizer"):
            check_tokens(processor.tokenizer, folder, processor.image_token)
        model = load_weights(AutoModelForImageTextToText, folder, dtype, device, config=config)
        return cls(model, processor, name)

    @classmethod
    def configure(cls, folder: Path) -> PreTrainedConfig:
        """The checkpoint's configuration, with what a family has to state."""
        return load_config(folder)

    @property
    def placeholder_id(self) -> int:
        return int(self.model.config.image_token_id)

    @cached_property
    def frame(self) -> tuple[str, str]:
        """What the checkpoint's chat template writes around an image, and its processor does not,
        e.g. ``<|vision_start|>``; where it shows no image, what the family is known to have."""
        template = own_template(self.processor, self.tokenizer)
        derived = frame_of(self.tokenizer, template, str(self.image_text)) if template else None
        return self.known_frame if derived is None else derived

    @property
    def known_frame(self) -> tuple[str, str]:
        """The family's frame, for a checkpoint without a chat template."""
        return "", ""

    def framed(self, text: str) -> str:
        """The text of an image within the `frame`."""
        before, after = self.frame
        return before + text + after

    def alone(self, image: str) -> BatchFeature:
        """What the processor makes of one image and no other text."""
        return self.processor(
            text=[self.framed(str(self.image_text))],
            images=[open_rgb(Path(image))],
            return_tensors="pt",
            return_text_replacement_offsets=True,
        )

    def image_string(self, image: str, number: int) -> str:
        return self.framed(self.unframed(image, number))

    def unframed(self, image: str, number: int) -> str:
        """The text of an image as the processor alone writes it; ``number`` as in `image_string`.

        Raises `UserError` where the processor does not take the image.
        """
        if image not in self.strings:
            with image_named(self.name, image):
                inputs = self.alone(image)
                self.strings[image] = self.expanded(inputs)
            self.waiting[image] = inputs
        return self.strings[image]

    def expanded(self, inputs: BatchFeature) -> str:
        """The text that the processor put in a lone image's stead."""
        return inputs["text_replacement_offsets"][0][0]["replacement"]

    @torch.inference_mode()
    def image_features(self, images: Sequence[str]) -> Iterator[ImageFeatures]:
        for image in images:
            inputs = self.waiting.pop(image)
            with image_named(self.name, image):
                features = self.looked_at(self.alone(image) if inputs is None else inputs)
            yield features

    def looked_at(self, inputs: BatchFeature) -> ImageFeatures:
        """Features of the image in the processor's ``inputs``."""
        return ImageFeatures(self.features_in(self.seen(inputs)))

    def seen(self, inputs: BatchFeature) -> Any:
        """The vision model's output for the processor's ``inputs``."""
        see = self.model.base_model.get_image_features
        wanted = inspect.signature(see).parameters
        given = {name: value for name, value in inputs.items() if name in wanted}
        given["pixel_values"] = given["pixel_values"].to(self.dtype)
        given = {name: value.to(self.device) for name, value in given.items()}
        return see(**given, return_dict=True)

    def features_in(self, output: Any) -> Tensor:
        """Features (placeholders, width) of a lone image in the vision model's output."""
        found = output.pooler_output
        found = found if isinstance(found, Tensor) else torch.cat(list(found))
        return found.reshape(-1, found.shape[-1])
