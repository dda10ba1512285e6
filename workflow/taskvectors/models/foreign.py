"""A stranger's configuration and tokenizer, as transformers' own classes read them.

No code of a checkpoint is run, and nobody is asked whether it may be.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoTokenizer,
    GenerationConfig,
    PreTrainedConfig,
)

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.models.checkpoint import read_config, refuse_quantised

# Where a part's own code is asked for, as what, and the keys that may name a class of transformers.
PARTS = [
    ("tokenizer_config.json", "AutoTokenizer", ["tokenizer_class"]),
    ("preprocessor_config.json", "AutoImageProcessor", ["image_processor_type"]),
    ("preprocessor_config.json", "AutoProcessor", ["processor_class"]),
    ("processor_config.json", "AutoProcessor", ["processor_class"]),
    ("generation_config.json", "AutoConfig", []),
]
NO_CODE = (
    "needs its authors' own code, and no code of a checkpoint is run here; look on the hub for a "
    "conversion to transformers' own classes"
)


@contextmanager
def reading(folder: Path, what: str) -> Iterator[None]:
    """Raise `UserError` where transformers cannot make ``what`` of a folder's files."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # tokenizers raises nothing narrower
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise UserError(
            f"{folder}: {what} cannot be loaded by transformers {transformers.__version__} "
            f"({type(error).__name__}: {reason}); fetch the whole checkpoint, or install what is "
            "missing."
        ) from error


def checked_config(folder: Path) -> dict[str, Any]:
    """What a checkpoint's config.json says. Raises `UserError` as `read_config`, where it is
    quantised, and where the architecture, tokenizer or processor needs code that is not
    transformers' own."""
    config = read_config(folder)
    parts = [config, *(part for part in config.values() if isinstance(part, dict))]
    if any(part.get("quantization_config") for part in parts):
        refuse_quantised(str(folder))
    if "auto_map" in config and config.get("model_type") not in CONFIG_MAPPING:
        raise UserError(
            f"{folder}/config.json: the architecture {config.get('model_type')!r} {NO_CODE}."
        )
    for file, part, keys in PARTS:
        path = folder / file
        said = read_json(path) if path.is_file() else {}
        if not isinstance(said, dict):
            raise UserError(f"{path} is no JSON object; restore the checkpoint's own.")
        asked = said.get("auto_map") or {}
        if isinstance(asked, dict) and part not in asked:
            continue
        named = [said[key] for key in keys if key in said]
        if not any(isinstance(name, str) and hasattr(transformers, name) for name in named):
            kind = part.removeprefix("Auto")
            raise UserError(f"{path}: the {kind} {', '.join(map(str, named))} {NO_CODE}.")
    return config


def load_config(folder: Path) -> PreTrainedConfig:
    """The checkpoint's configuration. Raises `UserError` as `checked_config`, and where it has no
    layers or a value that is none."""
    checked_config(folder)
    with reading(folder, "config.json"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    if (folder / "generation_config.json").is_file():  # transformers loads it with the weights
        with reading(folder, "generation_config.json"):
            GenerationConfig.from_pretrained(folder, trust_remote_code=False)
    layers = getattr(config.get_text_config(), "num_hidden_layers", 1)
    if layers < 1:
        raise UserError(
            f"{folder}/config.json states {layers} layers; restore the checkpoint's own."
        )
    return config


def load_tokenizer(folder: Path) -> Any:
    """The checkpoint's tokenizer. Raises `UserError` where it is missing or damaged."""
    with reading(folder, "the tokenizer"):
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
