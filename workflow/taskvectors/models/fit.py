"""Whether a model takes all tensors of a checkpoint, in their shapes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedModel
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import (
    WeightConverter,
    WeightRenaming,
    dot_natural_key,
    rename_source_key,
)

from taskvectors.base.errors import UserError
from taskvectors.models.checkpoint import MERGE, StoredTensor, refuse_quantised

# What a checkpoint may have and its model not take: positions and masks that are computed today,
# and a head that predicts further tokens.
HARMLESS = re.compile(r"(^|\.)(rotary_emb\.inv_freq|position_ids|mtp\..+)$")
MASK = re.compile(r"\.(attn|attention)\.(bias|masked_bias)$")
# What weights are stored as; any other kind needs scales beside it.
FLOATS = {"BF16", "F16", "F32", "F64"}
ADAPTED = re.compile(r"lora_|(^|\.)(base_layer|modules_to_save|base_model\.model)\.|\.(ia3|vera)_")


@dataclass(frozen=True)
class Fit:
    """The model's own name of each tensor that it takes as it is, by its name in the file, and the
    names of the tensors that it does not take."""

    taken: dict[str, str]
    unused: list[str]


def fit(model: PreTrainedModel, names: Iterable[str]) -> Fit:
    """How tensors of a checkpoint fit into a model, renamed as transformers renames them.

    Its own report of what was not used leaves out whatever the authors of a class expected.
    Raises `UserError` where two tensors would be one weight.
    """
    mapping = get_model_conversion_mapping(model)
    renamings = [one for one in mapping if isinstance(one, WeightRenaming)]
    converters = [one for one in mapping if isinstance(one, WeightConverter)]
    own = model.state_dict()
    sources: dict[str, str] = {}
    unused = []
    for name in sorted(names, key=dot_natural_key):
        target, converted = rename_source_key(
            name, renamings, converters, model.base_model_prefix, own
        )
        if target not in own and name in own:
            target, converted = name, None
        if target not in own:
            unused.append(name)
        elif converted is None and target in sources:
            raise UserError(
                f"{sources[target]} and {name} of the checkpoint are one weight of "
                f"{type(model).__name__}, {target}; take away the one that is not meant."
            )
        elif converted is None:
            sources[target] = name
    return Fit({name: target for target, name in sources.items()}, unused)


def check_tensors(
    model: PreTrainedModel, tensors: Mapping[str, StoredTensor], folder: Path
) -> None:
    """Raise `UserError` where a checkpoint has tensors that the model does not take, but for
    harmless ones, or takes in another shape or kind of number."""
    found = fit(model, tensors)
    kind = type(model).__name__
    lost = [name for name in found.unused if not _harmless(name, tensors[name])]
    if adapted := [name for name in lost if ADAPTED.search(name)]:
        raise UserError(
            f"{folder} has {len(adapted)} tensors of an adapter, e.g. {adapted[0]}, which would "
            f"not be applied; {MERGE}."
        )
    if lost:
        raise UserError(
            f"{folder} has {len(lost)} tensors that {kind} does not take with this config.json, "
            f"e.g. {lost[0]}; restore the config.json that was saved with them."
        )
    own = model.state_dict()
    counts = {name for name, target in found.taken.items() if not own[target].is_floating_point()}
    for name in tensors.keys() - counts - set(found.unused):
        if tensors[name].kind not in FLOATS:
            refuse_quantised(f"{folder} ({name} is {tensors[name].kind})")
    shapes = {
        name: (tensors[name].shape, tuple(own[target].shape))
        for name, target in found.taken.items()
        if tensors[name].shape != tuple(own[target].shape)
    }
    for name, (stored, wanted) in shapes.items():
        raise UserError(
            f"{folder} has {len(shapes)} tensors in another shape than {kind} with this "
            f"config.json, e.g. {name} {stored} for {wanted}; restore the config.json that was "
            "saved with them."
        )


def left_unused(model: PreTrainedModel, tensors: Mapping[str, StoredTensor]) -> list[str]:
    """The tensors of a checkpoint that a model leaves unused, one entry for all layers' like:
    ``12 x model.layers.*.self_attn.rotary_emb.inv_freq``."""
    kinds: dict[str, int] = {}
    for name in fit(model, tensors).unused:
        kind = re.sub(r"\.\d+(?=\.|$)", ".*", name)
        kinds[kind] = kinds.get(kind, 0) + 1
    return [f"{count} x {kind}" for kind, count in kinds.items()]


def _harmless(name: str, tensor: StoredTensor) -> bool:
    mask = MASK.search(name) and len(tensor.shape) in (0, 4)
    return bool(HARMLESS.search(name) or mask)
