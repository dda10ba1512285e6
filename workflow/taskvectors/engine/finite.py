"""Activations that are no numbers, as where float16 overflows: nothing is answered or read then.

Once infinite, a residual stream stays so up to the answer, unless a patch replaces it: so what is
looked at is what is taken from a pass, on the host, where it is by then.
"""

from collections.abc import Sequence
from typing import NoReturn

import torch
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.engine.trees import Row
from taskvectors.models.base import Adapter, Encoded

LOWER = "lower the strength of what is added"
REMEDIES = {
    torch.float16: f"choose bfloat16 or float32 for this model, or {LOWER}",
    torch.bfloat16: f"choose float32 for this model, or {LOWER}",
}
SHOWN = 40  # characters


def refuse(adapter: Adapter, what: str) -> NoReturn:
    """Raise `UserError`: ``what`` the model was given leaves no number."""
    precision = str(adapter.dtype).removeprefix("torch.")
    remedy = REMEDIES.get(adapter.dtype, f"{LOWER}, or fetch its checkpoint again")
    raise UserError(
        f"{what} makes activations of {adapter.name} infinite in {precision}; {remedy}."
    )


def prompt_named(adapter: Adapter, ids: Sequence[int], images: Sequence[str]) -> str:
    """A prompt, by its last words and its last image."""
    shown = f" with the image {images[-1]}" if images else ""
    words = [token for token in ids[-SHOWN:] if token != adapter.placeholder_id]
    return f"the prompt{shown} that ends in {adapter.tokenizer.decode(words)[-SHOWN:]!r}"


def whole_named(adapter: Adapter, prompt: Encoded) -> str:
    """The same of a whole prompt."""
    return prompt_named(adapter, prompt.ids, prompt.images)


def place_named(adapter: Adapter, row: Row, at: int) -> str:
    """The same up to a token of a row, with the images of the token's span or, if that has none,
    of the trunk."""
    start, span = [one for one in zip(row.starts, row.spans, strict=True) if one[0] <= at][-1]
    before = [] if span is row.trunk else row.trunk.ids
    ids = [*before, *span.ids[: at - start + 1]]
    return prompt_named(adapter, ids, span.images or row.trunk.images)


def check_read(
    adapter: Adapter, read: Tensor, rows: Sequence[Row], places: Sequence[tuple[int, int]]
) -> None:
    """Raise `UserError` where what was read at ``places``, (row, token) pairs, is not finite; it is
    (places, layers, width), on the host."""
    wrong = ~read.isfinite().flatten(1).all(dim=1)
    if wrong.any():
        row, at = places[int(wrong.nonzero()[0])]
        refuse(adapter, place_named(adapter, rows[row], at))
