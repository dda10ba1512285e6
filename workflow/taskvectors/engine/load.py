"""From a checkpoint folder to its adapter, which a contract test holds or a check as it loads."""

from pathlib import Path

import transformers

from taskvectors.base.errors import UserError
from taskvectors.engine.check import check_model
from taskvectors.models.base import Adapter
from taskvectors.models.foreign import checked_config
from taskvectors.models.registry import HELD_WITH, REFUSED, adapter_class, unheld
from taskvectors.models.weights import best_device


def load_adapter(folder: Path, name: str, dtype: str, device: str | None = None) -> Adapter:
    """Load the checkpoint in ``folder`` on ``device``, by default the GPU if there is one.

    ``dtype`` is one of `taskvectors.models.weights.DTYPES`. Raises `UserError` where the folder
    has no checkpoint, one of an unknown architecture, or one that does not fit its
    configuration, or that `check_model` refuses.
    """
    config = folder / "config.json"
    model_type = checked_config(folder).get("model_type")
    kind = adapter_class(model_type)
    if model_type in REFUSED:
        raise UserError(
            f"{config}: in the architecture {model_type!r} {REFUSED[model_type]}; "
            "choose another model (docs/models.md)."
        )
    if kind is None:
        raise UserError(
            f"{config}: no adapter for the architecture {model_type!r}; "
            "add one in workflow/taskvectors/models."
        )
    adapter = kind.load(folder, name, dtype, device or best_device())
    other = unheld(adapter.model.config)
    if other or transformers.__version__ != HELD_WITH:
        about = " and ".join(other) or f"the architecture {model_type!r}"
        adapter.checked = check_model(adapter, about)
    return adapter
