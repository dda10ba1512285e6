"""What Hugging Face decoders call their parts."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from taskvectors.base.errors import UserError

# The blocks, the norm after the last of them, a block's attention, and its output projection.
LAYERS = ("layers", "h", "blocks")
FINAL_NORMS = ("norm", "ln_f", "final_layernorm", "final_layer_norm", "norm_f")
ATTENTIONS = ("self_attn", "self_attention", "attention", "attn", "cross_attn")
PROJECTIONS = ("o_proj", "out_proj", "c_proj", "dense")


ADAPT = "add an adapter for it in workflow/taskvectors/models"


def first_part(module: nn.Module, names: Sequence[str], model: str, remedy: str = ADAPT) -> Any:
    """The first of a module's parts that there is. Raises `UserError` where there is none."""
    for name in names:
        if hasattr(module, name):
            return getattr(module, name)
    raise UserError(
        f"the {type(module).__name__} of {model} has none of {', '.join(names)}; {remedy}."
    )
