"""Weights from a checkpoint folder, whole or not at all."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, BitsAndBytesConfig, PreTrainedModel

from taskvectors.base.errors import UserError

# Precision of the weights by its name in resources/models.yaml. ``nf4`` is 4-bit NormalFloat with
# float16 computing, as in the authors' released settings (protocol of the paper).
DTYPES = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
    "nf4": torch.float16,
}


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
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=DTYPES[dtype]
    )
    return {"quantization_config": config, **there}


def best_device() -> str:
    """The GPU if there is one, else the CPU."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_weights(
    auto_class: Any, folder: Path, dtype: str, device: str = "cpu", **options: Any
) -> PreTrainedModel:
    """The model in ``folder`` on ``device``, by an auto class of transformers; ``dtype`` is one of
    `DTYPES`, or `NO_WEIGHTS`.

    Raises `UserError` where weights are missing or their file is damaged; transformers itself
    would fill in random numbers for missing ones and go on.
    """
    if dtype == NO_WEIGHTS:
        with torch.device("meta"):
            return auto_class.from_config(
                options.get("config") or AutoConfig.from_pretrained(folder)
            )
    try:
        model, found = auto_class.from_pretrained(
            folder,
            dtype=DTYPES[dtype],
            output_loading_info=True,
            **placement(dtype, device),
            **options,
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
