"""From a checkpoint folder to its adapter."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from taskvectors.errors import UserError
from taskvectors.files import read_json
from taskvectors.models.base import Adapter
from taskvectors.models.embedded import EmbeddedAdapter, EmbeddedConfig

DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
VISION_ADAPTERS = {EmbeddedConfig.model_type: EmbeddedAdapter}


def load_adapter(folder: Path, name: str, dtype: torch.dtype) -> Adapter:
    """Load the checkpoint in ``folder`` on the GPU if there is one, else on the CPU.

    Raises `UserError` where the folder has no checkpoint or one of an unknown architecture.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise UserError(f"{folder} has no config.json; prepare the model {name} first.")
    model_type = read_json(config).get("model_type")
    if model_type in VISION_ADAPTERS:
        adapter: Adapter = VISION_ADAPTERS[model_type].load(folder, name, dtype)
    elif model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        adapter = Adapter(model, AutoTokenizer.from_pretrained(folder), name)
    else:
        raise UserError(
            f"{config}: no adapter for the architecture {model_type!r}; "
            "add one in workflow/taskvectors/models."
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    adapter.model.to(device)
    return adapter
