"""Which adapter an architecture has."""

from typing import Any

from transformers import PreTrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from taskvectors.models.base import Adapter
from taskvectors.models.chameleon import ChameleonAdapter
from taskvectors.models.embedded import EmbeddedAdapter, EmbeddedConfig
from taskvectors.models.fuyu import FuyuAdapter
from taskvectors.models.gemma import Gemma3Adapter
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.idefics import Idefics2Adapter
from taskvectors.models.llava import LlavaAdapter, LlavaOnevisionAdapter
from taskvectors.models.minicpm import MiniCpmAdapter
from taskvectors.models.mllama import MllamaAdapter
from taskvectors.models.qwen import Qwen3Adapter, QwenAdapter
from taskvectors.models.text import TextAdapter, UnmaskedTextAdapter

# By the ``model_type`` of config.json. What is not here needs no code of its own.
ADAPTERS = {
    EmbeddedConfig.model_type: EmbeddedAdapter,
    "bloom": UnmaskedTextAdapter,
    "chameleon": ChameleonAdapter,
    "fuyu": FuyuAdapter,
    "gemma3": Gemma3Adapter,
    "idefics2": Idefics2Adapter,
    "llava": LlavaAdapter,
    "llava_onevision": LlavaOnevisionAdapter,
    "minicpmv4_6": MiniCpmAdapter,
    "mllama": MllamaAdapter,
    "qwen2_vl": QwenAdapter,
    "qwen2_5_vl": QwenAdapter,
    "qwen3_vl": Qwen3Adapter,
}
# The version of transformers that they were run with; with another, a model is checked as it loads.
HELD_WITH = "5.23.0"
# All that the contract tests hold, each with the ``model_type`` of its decoders there.
HELD = {
    "bloom": {"bloom"},
    "chameleon": {"chameleon"},
    EmbeddedConfig.model_type: {"llama"},
    "fuyu": {"persimmon"},
    "gemma2": {"gemma2"},
    "gemma3": {"gemma3_text"},
    "gpt2": {"gpt2"},
    "gptj": {"gptj"},
    "idefics2": {"mistral"},
    "idefics3": {"llama"},
    "internvl": {"qwen2"},
    "llama": {"llama"},
    "llava": {"llama", "mistral"},
    "llava_onevision": {"qwen2"},
    "minicpmv4_6": {"qwen3_5_text"},
    "mistral": {"mistral"},
    "mistral3": {"mistral"},
    "mllama": {"mllama_text_model"},
    "qwen2_5_vl": {"qwen2_5_vl_text"},
    "qwen2_vl": {"qwen2_vl_text"},
    "qwen3_vl": {"qwen3_vl_text"},
    "smolvlm": {"llama"},
}
# What a decoder's configuration says of positions, masks and logits, which the engine lays out, and
# the values that the contract tests hold; off (None, False, nothing) is always held.
SETTINGS: dict[str, set[str]] = {
    "add_cross_attention": set(),
    "alibi": set(),
    "attention_chunk_size": set(),
    "layer_types": {"full_attention"},
    "logit_scale": set(),
    "logits_scaling": set(),
    "no_rope_layers": set(),
    "position_embedding_type": set(),
    "rope_type": {"default"},
    "use_bidirectional_attention": set(),
    "use_sliding_window": set(),
}
# Of single decoders, besides.
LAYER_TYPES = {
    "gemma2": {"sliding_attention"},
    "gemma3_text": {"sliding_attention"},
    "qwen3_5_text": {"linear_attention"},
}
# Of rope, the kinds that turn all positions by the longest row of a batch.
BY_LENGTH = {"dynamic", "longrope"}
# Of those, what was trained on one image in a prompt, and what takes images without a vision tower.
SINGLE_IMAGE = {"llava", "mllama"}
EARLY_FUSION = {"chameleon", "fuyu"}
# What is not studied, and why: the engine patches the last token of an unchanged prompt, and an
# image's features do not depend on what stands beside it.
REFUSED = {
    "minicpmv4_7": "positions lie on a canvas of the image, which no adapter lays out yet",
    "molmo2": "the images of a prompt see each other, which no adapter lays out yet",
    "paligemma": "all tokens of a prompt see the patched one, so that patching changes the prompt",
}


def adapter_class(model_type: str | None) -> type[Adapter] | None:
    """The adapter for an architecture, or None where there is none."""
    if model_type in REFUSED:
        return None
    if model_type in ADAPTERS:
        return ADAPTERS[model_type]
    if model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return GenericAdapter
    return TextAdapter if model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else None


def unheld(config: PreTrainedConfig) -> list[str]:
    """What of a model's configuration no contract test holds: "llama's rope_type 'dynamic'"."""
    if config.model_type not in HELD:
        return [f"the architecture {config.model_type!r}"]
    decoder = config.get_text_config()
    if decoder.model_type not in HELD[config.model_type]:
        return [f"the decoder {decoder.model_type!r} in {config.model_type!r}"]
    found = []
    for setting, held in SETTINGS.items():
        more = LAYER_TYPES.get(decoder.model_type, set()) if setting == "layer_types" else set()
        values = _values(decoder, setting) - held - more
        found += [f"{config.model_type}'s {setting} {value!r}" for value in sorted(values)]
    return found


def _values(decoder: PreTrainedConfig, setting: str) -> set[str]:
    """The values of a setting, in all layers, but for off."""
    if setting == "rope_type":
        return {str(rope.get("rope_type")) for rope in _ropes(decoder)}
    value = getattr(decoder, setting, None)
    return {str(one) for one in (value if isinstance(value, list) else [value]) if one}


def _ropes(decoder: PreTrainedConfig) -> list[dict[str, Any]]:
    """The parameters of rope, of each type of layers where they differ."""
    rope = getattr(decoder, "rope_parameters", None) or {}
    return [one for one in [rope, *rope.values()] if isinstance(one, dict) and "rope_type" in one]


def turning_length(config: PreTrainedConfig, longest: int) -> int:
    """How many tokens a prompt may have before it is treated otherwise, by a window or by rope; 0
    where that makes no difference up to ``longest``."""
    decoder = config.get_text_config()
    most = getattr(decoder, "max_position_embeddings", None) or 0
    windows = [getattr(decoder, name, None) for name in ("sliding_window", "attention_chunk_size")]
    lengths = [length for length in windows if length and length < most]
    for rope in _ropes(decoder):
        if rope["rope_type"] in BY_LENGTH:
            lengths.append(rope.get("original_max_position_embeddings") or most)
    return max((length for length in lengths if length <= longest), default=0)
