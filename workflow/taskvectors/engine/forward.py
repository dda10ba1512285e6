"""One forward pass over a batch of rows: read residual streams, patch them, answer.

All reading and patching is done by hooks on the decoder layers, and hooks are loud: one
that did not fire exactly once in a pass raises.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle
from transformers import Cache

from taskvectors.base.errors import UserError
from taskvectors.engine.finite import check_read, place_named, refuse
from taskvectors.engine.trees import Row, batch_rows, visible
from taskvectors.models.base import Adapter

LOGITS_AT_ONCE = 512  # tokens
# Rows and tokens of a batch, indices of one shape or that broadcast to one.
Places = tuple[Tensor, Tensor]
# The places of one layer's patches, their vectors (places, width), and which of those are added.
LayerPatches = tuple[Places, Tensor, Tensor]


class HookError(RuntimeError):
    """A layer's hook fired more or less often than once, or met an output it cannot read."""


@dataclass(frozen=True)
class Patch:
    """Replace the residual stream after ``layer`` at token ``index`` of row ``row``, or, where the
    vector is ``added``, add it to what is there."""

    row: int
    index: int
    layer: int
    vector: Tensor
    added: bool = False


@dataclass(frozen=True)
class Answer:
    """The likeliest next token, its logit's lead over the runner-up's, and, of an answer that goes
    on until it shows text, the ``rest`` of its tokens."""

    token_id: int
    logit_difference: float
    rest: tuple[int, ...] = ()

    @property
    def token_ids(self) -> tuple[int, ...]:
        return (self.token_id, *self.rest)


@contextmanager
def layer_hooks(adapter: Adapter, visit: Callable[[int, Tensor], Tensor | None]) -> Iterator[None]:
    """Call ``visit(layer, output)`` once per layer; what it returns takes the output's place.

    An output is the residual stream (rows, tokens, width). Raises `HookError` unless each layer
    fires once.
    """
    fired = [0] * len(adapter.layers)

    def hook_of(layer: int) -> Callable[[Any, Any, Any], Any]:
        def hook(_module: Any, _inputs: Any, output: Any) -> Any:
            fired[layer] += 1
            wrapped = isinstance(output, tuple)
            hidden = output[0] if wrapped else output
            if not isinstance(hidden, Tensor) or hidden.ndim != 3:
                raise HookError(
                    f"layer {layer} of {adapter.name} put out {type(output).__name__}, not a "
                    "tensor (rows, tokens, width); its adapter must say where the output is."
                )
            changed = visit(layer, hidden)
            if changed is None:
                return None
            return (changed, *output[1:]) if wrapped else changed

        return hook

    handles = [layer.register_forward_hook(hook_of(i)) for i, layer in enumerate(adapter.layers)]
    with hooked(handles):
        yield
    check_fired(
        fired,
        f"in {adapter.name}, hooks of layers {{layers}} did not fire exactly once (counts "
        "{counts}); nothing was read or patched.",
    )


@contextmanager
def hooked(handles: Sequence[RemovableHandle]) -> Iterator[None]:
    """Remove hooks at the end, whatever happens."""
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_fired(fired: Sequence[int], complaint: str) -> None:
    """Raise `HookError` unless the hook of each layer ``fired`` once; the complaint names those
    ``{layers}`` that did not, and their ``{counts}``."""
    wrong = [layer for layer, count in enumerate(fired) if count != 1]
    if wrong:
        raise HookError(complaint.format(layers=wrong, counts=[fired[layer] for layer in wrong]))


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as 0 where attention is allowed and the dtype's minimum where not."""
    zero = torch.zeros((), dtype=dtype, device=allowed.device)
    return torch.where(allowed, zero, torch.full_like(zero, torch.finfo(dtype).min))


@torch.inference_mode()
def decode_rows(adapter: Adapter, rows: Sequence[Row], cache: Cache | None = None) -> None:
    """Run the decoder once over a batch of rows; hooks take what it makes.

    Raises `UserError` where a row has branches and the decoder cannot hold them; a single one is
    the rest of a plain prompt.
    """
    if not adapter.branching and any(len(row.branches) > 1 for row in rows):
        raise UserError(
            f"the decoder of {adapter.name} cannot hold branches in one row; "
            "run one prompt a row, and patch with the cached sweep."
        )
    batch = batch_rows(rows, adapter.pad_id)
    embedded = adapter.embed(batch.ids, batch.images)
    mask = additive_mask(visible(batch.spans.to(adapter.device)), embedded.hidden.dtype)
    adapter.decode(embedded, batch.positions, mask, cache)


@torch.inference_mode()
def run(
    adapter: Adapter,
    rows: Sequence[Row],
    reads: Sequence[tuple[int, int]] = (),
    patches: Sequence[Patch] = (),
    answers: Sequence[tuple[int, int]] = (),
) -> tuple[Tensor, list[Answer]]:
    """One forward pass.

    ``reads`` and ``answers`` are (row, token index) pairs. Returns the residual streams at the
    reads, (reads, layers, width) on the CPU in the model's dtype, and the answers in order. A
    patch takes effect before the same layer is read. What is read stays on the device until the
    pass is over: a copy to the host in every layer would have the GPU wait for it. Raises
    `UserError` where a read or an answer is not finite.
    """
    by_layer = patches_by_layer(patches, adapter)
    read_at, answer_at = (_index(pairs, adapter.device) for pairs in (reads, answers))
    gathered: list[Tensor] = []
    final: list[Tensor] = []
    last = len(adapter.layers) - 1

    def visit(layer: int, hidden: Tensor) -> Tensor | None:
        patched = with_patches(hidden, by_layer.get(layer))
        seen = hidden if patched is None else patched
        if reads:
            gathered.append(seen[read_at])
        if answers and layer == last:
            final.append(seen[answer_at])
        return patched

    with layer_hooks(adapter, visit):
        decode_rows(adapter, rows)
    residuals = torch.stack(gathered, dim=1).to("cpu") if reads else torch.empty(0)
    if reads:
        check_read(adapter, residuals, rows, reads)

    def named(answer: int) -> str:
        row, at = answers[answer]
        return place_named(adapter, rows[row], at)

    return residuals, read_answers(adapter, final[0], named) if answers else []


def _index(pairs: Sequence[tuple[int, int]], device: torch.device) -> Places:
    rows, tokens = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).T.to(device)
    return rows, tokens


def patches_by_layer(patches: Sequence[Patch], adapter: Adapter) -> dict[int, LayerPatches]:
    """Patches grouped by layer."""
    grouped: dict[int, list[Patch]] = {}
    for patch in patches:
        check_patch(adapter, patch.layer, patch.vector.shape)
        grouped.setdefault(patch.layer, []).append(patch)
    return {
        layer: (
            _index([(patch.row, patch.index) for patch in group], adapter.device),
            torch.stack([patch.vector for patch in group]).to(adapter.device, adapter.dtype),
            torch.tensor([patch.added for patch in group], device=adapter.device),
        )
        for layer, group in grouped.items()
    }


def check_patch(adapter: Adapter, layer: int, shape: torch.Size) -> None:
    """Raise ValueError where a vector of ``shape`` cannot be patched after ``layer``."""
    if not 0 <= layer < len(adapter.layers):
        raise ValueError(f"layer {layer} does not exist: {adapter.name} has {len(adapter.layers)}.")
    if shape != (adapter.width,):
        raise ValueError(
            f"a vector of shape {tuple(shape)} cannot be patched into "
            f"{adapter.name}, whose residual streams have shape ({adapter.width},)."
        )


def with_patches(hidden: Tensor, here: LayerPatches | None) -> Tensor | None:
    """A layer's residual stream with its entry of `patches_by_layer` in place; None without one."""
    if here is None:
        return None
    at, vectors, added = here
    patched = hidden.clone()
    patched[at] = written(hidden[at], vectors, added)
    return patched


def written(own: Tensor, vectors: Tensor, added: Tensor) -> Tensor:
    """Vectors (places, width) in the stead of residual streams ``own``, or added to them where
    ``added`` (places) says so. Nothing of what is replaced is left, be it infinite."""
    return vectors + torch.where(added[:, None], own, 0)


def read_answers(adapter: Adapter, residuals: Tensor, named: Callable[[int], str]) -> list[Answer]:
    """The answers to last residual streams (answers, width); ``named`` says what was asked.

    Some at a time: the logits of all would be a pass's largest tensor by far. Raises `UserError`
    where logits are no numbers, or infinite.
    """
    tokens, leads = [], []
    for some in residuals.split(LOGITS_AT_ONCE):
        best = adapter.logits(some).float().topk(2, dim=-1)
        tokens.append(best.indices[:, 0])
        leads.append(best.values[:, 0] - best.values[:, 1])
    # In one copy: a float64 holds every token id and every float32 as they are.
    both = torch.stack([torch.cat(tokens).double(), torch.cat(leads).double()]).tolist()
    for number, lead in enumerate(both[1]):
        if not math.isfinite(lead):  # a logit that is no number counts as the largest
            refuse(adapter, named(number))
    return [Answer(int(token), lead) for token, lead in zip(*both, strict=True)]
