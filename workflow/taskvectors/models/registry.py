"""Which adapter an architecture has."""

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
# All that the contract tests hold: these, and what has no code of its own.
HELD = {
    *ADAPTERS,
    "gemma2", "gpt2", "gptj", "idefics3", "internvl", "llama", "mistral", "mistral3", "smolvlm"
}  # fmt: skip
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
