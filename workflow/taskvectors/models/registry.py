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
    "qwen2_vl": QwenAdapter,
    "qwen2_5_vl": QwenAdapter,
    "qwen3_vl": Qwen3Adapter,
}
# What has no code of its own, but is held by the contract tests all the same.
HELD = {
    "gemma2", "gpt2", "gptj", "idefics3", "internvl", "llama", "mistral", "mistral3", "smolvlm"
}  # fmt: skip
# Here a prompt's last token is seen by all tokens before it, so that patching it in an
# unchanged prompt, which all of the engine does, is not possible.
BIDIRECTIONAL = {"paligemma"}


def adapter_class(model_type: str | None) -> type[Adapter] | None:
    """The adapter for an architecture, or None where there is none."""
    if model_type in BIDIRECTIONAL:
        return None
    if model_type in ADAPTERS:
        return ADAPTERS[model_type]
    if model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return GenericAdapter
    return TextAdapter if model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else None
