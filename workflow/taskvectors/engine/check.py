"""A model that no contract test holds is held to its own forward pass once, as it loads.

The generic adapters take any architecture of the usual shape. One that is not of it, e.g. with
positions or logits of its own, would otherwise give wrong numbers without a word.
"""

import tempfile
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.engine.forward import run
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter
from taskvectors.models.generic import GenericAdapter
from taskvectors.study.prompts import QUERY, ImageInput, Prompt, Text

QUESTION, ANSWER = "Q:", "\nA:"
SIDES = (224, 160)
# Half precision rounds differently in two passes; a missing scale or position does far more.
TOLERANCE = 0.05


def check_forward(adapter: Adapter, model_type: str) -> None:
    """Raise `UserError` where the adapter's logits are not the model's own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ramp.png"
        Image.linear_gradient("L").resize(SIDES).convert("RGB").save(path)
        pairs = [_of_text(adapter)]
        if isinstance(adapter, GenericAdapter):
            pairs.append(_of_image(adapter, path))
        adapter.features.pop(str(path))
    for ours, own in pairs:
        error = float((ours - own).norm() / own.norm())
        if not error < TOLERANCE:
            raise UserError(
                f"the logits computed for {adapter.name} are {error:.0%} off those of its own "
                f"forward pass; the architecture {model_type!r} needs an adapter of its own in "
                "workflow/taskvectors/models."
            )


def _ours(adapter: Adapter, prompt: Prompt) -> Tensor:
    encoded = adapter.encode(prompt)
    read, _ = run(adapter, [whole(encoded)], [(0, len(encoded.ids) - 1)])
    return adapter.logits(read[0, -1].to(adapter.device)).float()


@torch.inference_mode()
def _of_text(adapter: Adapter) -> tuple[Tensor, Tensor]:
    text = f"{QUESTION}Japan{ANSWER}"
    inputs = adapter.tokenizer(text, return_tensors="pt").to(adapter.device)
    own = adapter.model(input_ids=inputs["input_ids"]).logits[0, -1].float()
    return _ours(adapter, (Text(text), QUERY)), own


@torch.inference_mode()
def _of_image(adapter: GenericAdapter, path: Path) -> tuple[Tensor, Tensor]:
    inputs = adapter.processor(
        text=[f"{QUESTION}{adapter.image_text}{ANSWER}"],
        images=[Image.open(path)],
        return_tensors="pt",
    ).to(adapter.device, adapter.dtype)
    own = adapter.model(**inputs).logits[0, -1].float()
    prompt = (Text(QUESTION), ImageInput(str(path)), Text(ANSWER), QUERY)
    return _ours(adapter, prompt), own
