"""From a checkpoint folder to its adapter."""

from __future__ import annotations

from pathlib import Path

from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
)

from taskvectors.errors import UserError
from taskvectors.files import read_json
from taskvectors.loaded import LoadedModel, report_loaded
from taskvectors.models.base import Adapter
from taskvectors.models.chameleon import ChameleonAdapter
from taskvectors.models.check import check_forward
from taskvectors.models.embedded import EmbeddedAdapter, EmbeddedConfig
from taskvectors.models.fuyu import FuyuAdapter
from taskvectors.models.gemma import Gemma3Adapter
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.idefics import Idefics2Adapter
from taskvectors.models.llava import LlavaAdapter, LlavaOnevisionAdapter
from taskvectors.models.qwen import Qwen3Adapter, QwenAdapter
from taskvectors.models.text import TextAdapter, UnmaskedTextAdapter
from taskvectors.models.weights import best_device

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


def load_adapter(folder: Path, name: str, dtype: str) -> Adapter:
    """Load the checkpoint in ``folder`` on the GPU if there is one, else on the CPU.

    ``dtype`` is one of `taskvectors.models.weights.DTYPES`. Raises `UserError` where the folder
    has no checkpoint, or one of an unknown architecture, or one whose own forward pass an
    adapter does not reproduce.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no config.json; prepare the model {name} first.")
    model_type = read_json(config).get("model_type")
    kind = adapter_class(model_type)
    if kind is None:
        raise UserError(
            f"{config}: no adapter for the architecture {model_type!r}; "
            "add one in workflow/taskvectors/models."
        )
    adapter = kind.load(folder, name, dtype)
    if dtype != "nf4":  # those weights were quantised where they are
        adapter.model.to(best_device())
    if model_type not in ADAPTERS and model_type not in HELD:
        check_forward(adapter, str(model_type))
    report_loaded(as_loaded(adapter, folder, dtype), str(adapter.device))
    return adapter


def as_loaded(adapter: Adapter, folder: Path, dtype: str) -> LoadedModel:
    """What the records say of a loaded model."""
    source = folder / "source.json"
    return LoadedModel(
        name=adapter.name,
        revision=read_json(source).get("revision") if source.is_file() else None,
        dtype=str(adapter.dtype).removeprefix("torch."),
        quantisation="nf4" if dtype == "nf4" else None,
        image_backend=adapter.image_backend,
        notes=adapter.notes(folder),
    )
