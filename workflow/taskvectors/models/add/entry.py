"""A model's entry in ``resources/models.yaml``, and how it gets there with all comments kept."""

import io
import re
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from transformers import PreTrainedConfig

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_text
from taskvectors.base.schemas import check, read_yaml
from taskvectors.models.add.described import Checkpoint
from taskvectors.models.base import Adapter
from taskvectors.models.registry import EARLY_FUSION
from taskvectors.models.weights import DTYPES

STORED_AS = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
# What is smaller runs on a CPU in minutes, as the embedded model does.
NEEDS_GPU = 500e6  # parameters


def name_of(source: dict[str, str]) -> str:
    """A name as models.yaml has them, from that of a repository or a folder."""
    last = Path(source.get("hub") or source["folder"]).name.lower()
    name = re.sub(r"[^a-z0-9.-]+", "-", last).strip("-.")
    return name if name[:1].isalpha() else f"model-{name}"


def entry_of(checkpoint: Checkpoint, adapter: Adapter, image_icl: bool) -> dict[str, Any]:
    """The entry; the models that Table 5 names are called what their configuration calls them."""
    config: PreTrainedConfig = adapter.model.config
    parameters = sum(checkpoint.tensors.values())
    text, vision = config.get_text_config(), getattr(config, "vision_config", None)
    seeing = adapter.image_text is not None
    model_type = str(config.model_type)
    seen_by = vision.model_type if vision is not None else model_type
    late = "early-fusion" if model_type in EARLY_FUSION else "late-fusion"
    return {
        **checkpoint.source,
        "dtype": dtype_of(checkpoint, config),
        "gpus": int(parameters >= NEEDS_GPU),
        "parameters": float(f"{parameters / 1e9:.3g}"),
        "image_icl": image_icl,
        "text_model": short(text.model_type),
        **({"vision_model": short(seen_by)} if seeing else {}),
        "paradigm": late if seeing else "text-only",
    }


def short(model_type: str) -> str:
    """A part's architecture without what only says which part it is."""
    return re.sub(r"(_text|_vision)?(_model)?$", "", model_type)


def dtype_of(checkpoint: Checkpoint, config: PreTrainedConfig) -> str:
    """The precision that the configuration states, else the one that most weights are stored in.

    Raises `UserError` where that is none that jobs can take.
    """
    stated = str(config.dtype or config.get_text_config().dtype).removeprefix("torch.")
    most = max(checkpoint.tensors, key=lambda kind: checkpoint.tensors[kind])
    dtype = stated if stated in DTYPES else STORED_AS.get(most)
    if dtype is None:
        raise UserError(
            f"the weights are stored as {most}; give a checkpoint that has them as "
            f"{', '.join(STORED_AS)}."
        )
    return dtype


def check_new(path: Path, name: str, source: dict[str, str]) -> None:
    """Raise `UserError` where ``path`` has that name, or that checkpoint, already."""
    known = read_yaml(path)
    check(known, "models", str(path))
    if name in known:
        raise UserError(
            f"{path} has a model {name!r} already; give another name with --name, or take its "
            "entry out."
        )
    for other, entry in known.items():
        if source.items() <= entry.items():
            raise UserError(f"{path} has this very checkpoint already, as {other!r}; use it.")


def as_yaml(name: str, entry: dict[str, Any]) -> str:
    """The entry as it will stand in models.yaml. Raises `UserError` where it is not valid."""
    check({name: entry}, "models", f"the entry {name}")
    text = io.StringIO()
    YAML().dump({name: entry}, text)
    return text.getvalue()


def append(path: Path, name: str, entry: dict[str, Any]) -> None:
    """Write ``path`` with the entry, one that `as_yaml` took, at its end and all its comments."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 10_000  # no line is folded
    models = yaml.load(path.read_text(encoding="utf-8"))
    models[name] = entry
    text = io.StringIO()
    yaml.dump(models, text)
    write_text(path, text.getvalue())
