"""Models of full size without a checkpoint: their configurations in numbers, and random weights.

The numbers are those of the files on the hub: llava-hf/llava-1.5-7b-hf,
HuggingFaceM4/idefics2-8b, Qwen/Qwen2.5-VL-7B-Instruct and Qwen/Qwen3-VL-8B-Instruct. Prompts are
token ids and an image is its random features, so that neither tokenizers nor images are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import torch
import transformers as hf

from taskvectors.models.base import Encoded
from taskvectors.models.features import ImageFeatures
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.idefics import Idefics2Adapter
from taskvectors.models.llava import LlavaAdapter
from taskvectors.models.qwen import Qwen3Adapter, QwenAdapter

TEXT_TOKENS = 24
FIRST_TEXT = 4  # of these before the image
ORDINARY_IDS = 900  # token ids below it are no image's in any of the models


@dataclass(frozen=True)
class Architecture:
    """An architecture and its sizes; ``image`` is how many placeholders it has, as a grid."""

    name: str
    adapter: type[GenericAdapter]
    model: Any
    config: Any
    text: dict[str, Any]
    vision: dict[str, Any]
    image: tuple[int, int]
    rest: dict[str, Any] = field(default_factory=dict)

    def configuration(self) -> hf.PreTrainedConfig:
        return self.config(text_config=self.text, vision_config=self.vision, **self.rest)


def random_model(architecture: Architecture, device: str, dtype: torch.dtype) -> GenericAdapter:
    """The model with random weights, made where it stays: none of them is ever on the host."""
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = architecture.model(architecture.configuration())
    finally:
        torch.set_default_dtype(before)
    settings = SimpleNamespace(image_token="", image_processor=SimpleNamespace(), pad_token_id=0)
    return architecture.adapter(model, settings, architecture.name)


def show(adapter: GenericAdapter, architecture: Architecture, image: str) -> None:
    """Have the adapter know random features of an image."""
    high, wide = architecture.image
    generator = torch.Generator().manual_seed(len(adapter.features))
    features = torch.randn((high * wide, adapter.width), generator=generator)
    features = features.to(adapter.device, adapter.dtype)
    adapter.features[image] = ImageFeatures(features)
    if isinstance(adapter, QwenAdapter):
        merged = adapter.model.config.vision_config.spatial_merge_size
        adapter.grids[image] = torch.tensor([[1, merged * high, merged * wide]])
    if isinstance(adapter, Qwen3Adapter):
        levels = len(adapter.model.config.vision_config.deepstack_visual_indexes)
        adapter.features[image] = ImageFeatures(features, features.repeat(levels, 1, 1))


def image_query(adapter: GenericAdapter, architecture: Architecture, seed: int) -> Encoded:
    """Text, an image and text again, whose last token is the query's delimiter."""
    image = f"image {seed}"
    show(adapter, architecture, image)
    text, placeholders = words(seed), architecture.image[0] * architecture.image[1]
    ids = [*text[:FIRST_TEXT], *[adapter.placeholder_id] * placeholders, *text[FIRST_TEXT:]]
    marks = {"query": len(ids) - 1}
    end = FIRST_TEXT + placeholders
    return Encoded(ids, adapter.positions(ids, [image]), marks, (image,), (end,))


def text_query(adapter: GenericAdapter, seed: int) -> Encoded:
    """Text whose last token is the query's delimiter."""
    ids = words(seed)
    return Encoded(ids, adapter.positions(ids, []), {"query": len(ids) - 1})


def words(seed: int) -> list[int]:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(1, ORDINARY_IDS, (TEXT_TOKENS,), generator=rng).tolist()


LLAVA = Architecture(
    "llava-v1.5-7b",
    LlavaAdapter,
    hf.LlavaForConditionalGeneration,
    hf.LlavaConfig,
    text={
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "vocab_size": 32064,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
    },
    vision={
        "model_type": "clip_vision_model",
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "projection_dim": 768,
        "image_size": 336,
        "patch_size": 14,
    },
    image=(24, 24),
    rest={"image_token_index": 32000},
)
IDEFICS2 = Architecture(
    "idefics2-8b",
    Idefics2Adapter,
    hf.Idefics2ForConditionalGeneration,
    hf.Idefics2Config,
    text={
        "model_type": "mistral",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "vocab_size": 32003,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
        "rms_norm_eps": 1e-5,
        "pad_token_id": 0,
    },
    vision={
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 27,
        "num_attention_heads": 16,
        "image_size": 980,
        "patch_size": 14,
    },
    image=(8, 8),
    rest={"image_token_id": 32001},
)
QWEN_IDS = {
    "image_token_id": 151655,
    "video_token_id": 151656,
    "vision_start_token_id": 151652,
    "vision_end_token_id": 151653,
}
QWEN2_5 = Architecture(
    "qwen2.5-vl-7b",
    QwenAdapter,
    hf.Qwen2_5_VLForConditionalGeneration,
    hf.Qwen2_5_VLConfig,
    text={
        "hidden_size": 3584,
        "intermediate_size": 18944,
        "num_hidden_layers": 28,
        "num_attention_heads": 28,
        "num_key_value_heads": 4,
        "vocab_size": 152064,
        "max_position_embeddings": 128000,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [16, 24, 24],
        },
    },
    vision={
        "depth": 32,
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
    },
    image=(12, 12),
    rest={**QWEN_IDS, "tie_word_embeddings": False},
)
QWEN3 = Architecture(
    "qwen3-vl-8b",
    Qwen3Adapter,
    hf.Qwen3VLForConditionalGeneration,
    hf.Qwen3VLConfig,
    text={
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 262144,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [24, 20, 20],
            "mrope_interleaved": True,
        },
    },
    vision={
        "depth": 27,
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_heads": 16,
        "out_hidden_size": 4096,
        "patch_size": 16,
        "num_position_embeddings": 2304,
        "deepstack_visual_indexes": [8, 16, 24],
    },
    image=(12, 12),
    rest={**QWEN_IDS, "tie_word_embeddings": False},
)
SHAPES = (LLAVA, IDEFICS2, QWEN2_5, QWEN3)
