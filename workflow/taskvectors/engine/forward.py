"""One forward pass over a batch of rows: read residual streams, patch them, answer.

All reading and patching is done by hooks on the decoder layers, and hooks are loud: one
that did not fire exactly once in a pass raises.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from taskvectors.engine.trees import Row, batch_rows
from taskvectors.models.base import Adapter

LOGITS_AT_ONCE = 512  # tokens
# ((rows, tokens), vectors) of the patches of one layer.
LayerPatches = tuple[tuple[Tensor, Tensor], Tensor]


class HookError(RuntimeError):
    """A layer's hook fired more or less often than once, or met an output it cannot read."""


@dataclass(frozen=True)
class Patch:
    """Replace the residual stream after ``layer`` at token ``index`` of row ``row``."""

    row: int
    index: int
    layer: int
    vector: Tensor


@dataclass(frozen=True)
class Answer:
    """The likeliest next token, and its logit's lead over the runner-up's."""

    token_id: int
    logit_difference: float


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
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    wrong = [layer for layer, count in enumerate(fired) if count != 1]
    if wrong:
        raise HookError(
            f"in {adapter.name}, hooks of layers {wrong} did not fire exactly once "
            f"(counts {[fired[layer] for layer in wrong]}); nothing was read or patched."
        )


def additive_mask(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as 0 where attention is allowed and the dtype's minimum where not."""
    return torch.zeros(allowed.shape, dtype=dtype).masked_fill(~allowed, torch.finfo(dtype).min)


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
    patch takes effect before the same layer is read.
    """
    batch = batch_rows(rows, adapter.pad_id)
    device = adapter.device
    by_layer = patches_by_layer(patches, adapter)
    read_at, answer_at = (_index(pairs, device) for pairs in (reads, answers))
    gathered: list[Tensor] = []
    final: list[Tensor] = []
    last = len(adapter.layers) - 1

    def visit(layer: int, hidden: Tensor) -> Tensor | None:
        patched = with_patches(hidden, by_layer.get(layer))
        seen = hidden if patched is None else patched
        if reads:
            gathered.append(seen[read_at].to("cpu"))
        if answers and layer == last:
            final.append(seen[answer_at])
        return patched

    embedded = adapter.embed(batch.ids, batch.images)
    mask = additive_mask(batch.mask, embedded.hidden.dtype).to(device)
    with layer_hooks(adapter, visit):
        adapter.decode(embedded, batch.positions.to(device), mask)
    read = torch.stack(gathered, dim=1) if reads else torch.empty(0)
    return read, read_answers(adapter, final[0]) if answers else []


def _index(pairs: Sequence[tuple[int, int]], device: torch.device) -> tuple[Tensor, Tensor]:
    rows, tokens = zip(*pairs, strict=True) if pairs else ((), ())
    return (
        torch.tensor(rows, dtype=torch.long, device=device),
        torch.tensor(tokens, dtype=torch.long, device=device),
    )


def patches_by_layer(patches: Sequence[Patch], adapter: Adapter) -> dict[int, LayerPatches]:
    """Patches grouped by layer: ((rows, tokens), vectors)."""
    grouped: dict[int, list[Patch]] = {}
    for patch in patches:
        if not 0 <= patch.layer < len(adapter.layers):
            raise ValueError(
                f"layer {patch.layer} does not exist: {adapter.name} has {len(adapter.layers)}."
            )
        if patch.vector.shape != (adapter.width,):
            raise ValueError(
                f"a vector of shape {tuple(patch.vector.shape)} cannot be patched into "
                f"{adapter.name}, whose residual streams have shape ({adapter.width},)."
            )
        grouped.setdefault(patch.layer, []).append(patch)
    return {
        layer: (
            _index([(patch.row, patch.index) for patch in group], adapter.device),
            torch.stack([patch.vector for patch in group]).to(adapter.device, adapter.dtype),
        )
        for layer, group in grouped.items()
    }


def with_patches(hidden: Tensor, here: LayerPatches | None) -> Tensor | None:
    """A layer's residual stream with its entry of `patches_by_layer` in place; None without one."""
    if here is None:
        return None
    at, vectors = here
    patched = hidden.clone()
    patched[at] = vectors
    return patched


def read_answers(adapter: Adapter, residuals: Tensor) -> list[Answer]:
    """The answers to last residual streams (answers, width).

    Some at a time: the logits of all would be a pass's largest tensor by far.
    """
    answers = []
    for some in residuals.split(LOGITS_AT_ONCE):
        best = adapter.logits(some).float().topk(2, dim=-1)
        leads = best.values[:, 0] - best.values[:, 1]
        pairs = zip(best.indices[:, 0], leads, strict=True)
        answers += [Answer(int(token), float(lead)) for token, lead in pairs]
    return answers
