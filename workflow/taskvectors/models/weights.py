"""Weights from a checkpoint folder, whole or not at all."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import BitsAndBytesConfig, PreTrainedConfig, PreTrainedModel

from taskvectors.base.errors import UserError
from taskvectors.models.checkpoint import StoredTensor, stored_tensors
from taskvectors.models.fit import check_tensors
from taskvectors.models.foreign import load_config, reading

# Precision of the weights by its name in resources/models.yaml. ``nf4`` is 4-bit NormalFloat as the
# authors released it: double quantisation, stored and computed in float16 (the paper's protocol).
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "nf4": torch.float16,
}


# What configurations call the number of layers, of a decoder or a vision tower.
LAYER_COUNTS = ("num_hidden_layers", "num_global_layers", "depth")
MOST_LAYERS = 1000  # of a model whose weights are not here to count

# In a precision's stead: the architecture alone, to look at its sizes and lay out prompts.
NO_WEIGHTS = "none"


def placement(dtype: str, device: str) -> dict[str, Any]:
    """What `from_pretrained` needs beside the dtype, for weights to go straight to a GPU and, as
    ``nf4``, to be quantised there. Raises `UserError` without bitsandbytes.
    """
    there: dict[str, Any] = {"device_map": {"": device}}
    if dtype != "nf4":
        return {} if device == "cpu" else there
    if find_spec("bitsandbytes") is None:
        raise UserError(
            "dtype nf4 needs the package bitsandbytes, which is not installed; "
            "`pip install bitsandbytes`, or choose bfloat16 in resources/models.yaml."
        )
    return {"quantization_config": four_bits(DTYPES[dtype]), **there}


def four_bits(dtype: torch.dtype) -> BitsAndBytesConfig:
    """4-bit NormalFloat, stored and computed in ``dtype``, with the authors' released options."""
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype,
    )


def best_device() -> str:
    """The GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def empty_model(
    auto_class: Any, folder: Path, config: PreTrainedConfig, tensors: dict[str, StoredTensor]
) -> PreTrainedModel:
    """The architecture without its weights, held to the folder's ``tensors`` where it has any.

    Raises `UserError` where the configuration makes no model, or none of those weights.
    """
    layers = max(_layers(config))
    if layers > (len(tensors) or MOST_LAYERS):  # making them could take for ever
        held = f"the weights are {len(tensors)} tensors" if tensors else "no model has so many"
        raise UserError(
            f"{folder}/config.json states {str(layers)[:20]} layers, but {held}; restore the "
            "checkpoint's own."
        )
    with reading(folder, "the model"), torch.device("meta"):
        model = auto_class.from_config(config, trust_remote_code=False)
    if tensors:
        check_tensors(model, tensors, folder)
    return model


def _layers(config: PreTrainedConfig) -> list[int]:
    """How many layers a configuration states, of the model and of each of its parts."""
    parts = [config, *(getattr(config, name, None) for name in config.sub_configs)]
    stated = [getattr(part, key, None) for part in parts for key in LAYER_COUNTS]
    return [0, *(count for count in stated if isinstance(count, int))]


def load_weights(
    auto_class: Any,
    folder: Path,
    dtype: str,
    device: str = "cpu",
    config: PreTrainedConfig | None = None,
) -> PreTrainedModel:
    """The model in ``folder`` on ``device``, by an auto class of transformers; ``dtype`` is one of
    `DTYPES`, or `NO_WEIGHTS`.

    Raises `UserError` where weights are missing or their file is damaged, where the model does not
    take a tensor of the file or has it in another shape, and where they are no safetensors;
    transformers itself would fill in random numbers for missing ones, drop the others and go on.
    """
    config = config or load_config(folder)
    fetched = dtype != NO_WEIGHTS or any(folder.glob("*.safetensors"))
    empty = empty_model(auto_class, folder, config, stored_tensors(folder) if fetched else {})
    if dtype == NO_WEIGHTS:
        return empty
    try:
        model, found = auto_class.from_pretrained(
            folder,
            config=config,
            dtype=DTYPES[dtype],
            output_loading_info=True,
            use_safetensors=True,
            trust_remote_code=False,
            **placement(dtype, device),
        )
    except (SafetensorError, OSError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{folder}: the weights cannot be read ({reason}); delete them and fetch them again."
        ) from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise UserError(
            f"{folder} lacks {len(missing)} weights of {type(model).__name__}, e.g. {missing[0]}; "
            "fetch the whole checkpoint of this architecture."
        )
    return model
