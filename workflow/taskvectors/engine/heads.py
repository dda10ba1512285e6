"""Attention heads: their outputs read in any pass, and all of them replaced in one.

A head's output is a slice of what its layer's output projection is given
(`taskvectors.models.heads`), so a hook before each projection sees all heads. For causal mediation
(Todd et al., 2024) each head's output at the last token of a prompt is replaced in turn: here every
head is a branch, a copy of that token which begins at the head's layer, and one pass answers for
all (`taskvectors.engine.naive.naive_effects` is one pass each).
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import Any

import torch
from torch import Tensor

from taskvectors.engine.branches import Growth, branching, end_of_pass
from taskvectors.engine.cached import copies, last_of_rows, prefilled
from taskvectors.engine.finite import refuse, whole_named
from taskvectors.engine.forward import LOGITS_AT_ONCE, check_fired, hooked
from taskvectors.engine.memory import within_memory
from taskvectors.engine.trees import continued, whole
from taskvectors.models.base import Adapter, Encoded

Visit = Callable[[int, Tensor], Tensor | None]
Head = tuple[int, int]  # layer, head


@contextmanager
def head_hooks(adapter: Adapter, visit: Visit) -> Iterator[None]:
    """Call ``visit(layer, outputs)`` once per layer with all heads' outputs (rows, tokens, heads,
    head width); what it returns takes their place.

    Raises `HookError` unless each layer's output projection is called once.
    """
    heads, fired = adapter.heads, [0] * len(adapter.layers)

    def hook_of(layer: int) -> Callable[[Any, tuple[Tensor, ...]], Any]:
        def hook(_module: Any, given: tuple[Tensor, ...]) -> Any:
            fired[layer] += 1
            outputs = given[0].unflatten(-1, (heads.count, heads.width))
            changed = visit(layer, outputs)
            return None if changed is None else (changed.flatten(-2), *given[1:])

        return hook

    handles = [
        projection.register_forward_pre_hook(hook_of(layer))
        for layer, projection in enumerate(heads.projections)
    ]
    with hooked(handles):
        yield
    check_fired(
        fired,
        f"in {adapter.name}, the output projections of layers {{layers}} were not called exactly "
        "once (counts {counts}); no head was read or replaced.",
    )


@dataclass
class HeadOutputs:
    """What heads put out at some places of a pass, (rows, tokens) indices, gathered layer by layer
    and left on the device until the pass is over."""

    places: tuple[Tensor, Tensor]
    gathered: list[Tensor] = field(default_factory=list)

    def visit(self, _layer: int, outputs: Tensor) -> None:
        self.gathered.append(outputs[self.places])

    def on_host(self) -> Tensor:
        """(places, layers, heads, head width), in the model's dtype."""
        return torch.stack(self.gathered, dim=1).to("cpu")


@contextmanager
def read_heads(adapter: Adapter, places: Sequence[tuple[int, int]]) -> Iterator[HeadOutputs]:
    """Read all heads at ``places``, (row, token) pairs, in the pass within."""
    rows, tokens = torch.tensor(places, dtype=torch.long).reshape(-1, 2).T.to(adapter.device)
    outputs = HeadOutputs((rows, tokens))
    with head_hooks(adapter, outputs.visit):
        yield outputs


def head_effects(
    adapter: Adapter, prompt: Encoded, outputs: Tensor, answer: Sequence[int], tokens_per_pass: int
) -> tuple[float, Tensor]:
    """The probability of the tokens of an ``answer``, of all together, after a prompt: as it is,
    and (layers, heads) with each head's output at the prompt's last token replaced by that of
    ``outputs`` (layers, heads, head width).

    Heads are split over passes so that none has more than ``tokens_per_pass`` tokens; after a long
    prompt (ten images) there is room for a quarter of its tokens all the same.
    """
    in_branches = adapter.branching and len(answer) == 1
    every = list(product(range(len(adapter.layers)), range(adapter.heads.count)))

    def before_and_after(heads: Sequence[Head]) -> list[tuple[float, float]]:
        ends = ends_with_heads(adapter, prompt, outputs, heads, answer[:-1])
        asked = zip(ends, answer, strict=True)
        each = [probabilities(adapter, prompt, here, token) for here, token in asked]
        before, *after = map(prod, zip(*each, strict=True))
        return [(before, one) for one in after]

    per_pass = max(1, len(prompt.ids) // 4, tokens_per_pass - len(prompt.ids))
    if not in_branches:
        per_pass = max(1, tokens_per_pass // len(prompt.ids))
    found: list[tuple[float, float]] = []
    for first in range(0, len(every), per_pass):
        found += within_memory(every[first : first + per_pass], before_and_after)
    before, after = zip(*found, strict=True)
    return before[0], torch.tensor(after).reshape(outputs.shape[:2])


def ends_with_heads(
    adapter: Adapter,
    prompt: Encoded,
    outputs: Tensor,
    heads: Sequence[Head],
    begun: Sequence[int] = (),
) -> Tensor:
    """The last residual streams (1 + begun, 1 + heads, width) of a prompt's last token, and of the
    tokens of an answer that is ``begun``: as they are, and with the output at the prompt's last
    token of each of ``heads``, in the order of their layers, replaced by that of ``outputs``
    (layers, heads, head width)."""
    outputs = outputs.to(adapter.device, adapter.dtype)
    if adapter.branching and not begun:
        return _ends_of_branches(adapter, prompt, outputs, heads)[None]
    return _ends_of_rows(adapter, prompt, outputs, heads, begun)


def _ends_of_branches(
    adapter: Adapter, prompt: Encoded, outputs: Tensor, heads: Sequence[Head]
) -> Tensor:
    """In one pass: a branch for each head, after the delimiter itself."""
    begin = [0] * len(adapter.layers)
    for layer, _ in heads:
        begin[layer] += 1
    growth = Growth(len(prompt.ids), begin)
    numbers = torch.tensor([head for _, head in heads], device=adapter.device).split(begin)
    columns = [
        torch.arange(growth.columns[layer], growth.columns[layer + 1], device=adapter.device)
        for layer in range(len(begin))
    ]

    def replace(layer: int, seen: Tensor) -> Tensor | None:
        if not begin[layer]:
            return None
        changed = seen.clone()
        changed[:, columns[layer], numbers[layer]] = outputs[layer, numbers[layer]]
        return changed

    rows = [branching(prompt, len(heads) + 1, len(prompt.ids))]
    # A head's layer is handed its branches, too: they begin where it does.
    handed = growth.columns[1:]
    with begun_before(adapter, growth), head_hooks(adapter, replace):
        return end_of_pass(adapter, rows, handed)[0, growth.first - 1 :]


@contextmanager
def begun_before(adapter: Adapter, growth: Growth) -> Iterator[None]:
    """Have branches begin before their layers, as copies of the delimiter."""

    def hook_of(layer: int) -> Callable[..., Any]:
        def hook(_layer: Any, args: tuple[Any, ...]) -> Any:
            own = growth.delimiter(args[0])
            copies = own.expand(-1, growth.begin[layer], -1)
            return (growth.grown(layer, args[0], copies), *args[1:])

        return hook

    handles = [
        one.register_forward_pre_hook(hook_of(layer)) for layer, one in enumerate(adapter.layers)
    ]
    with hooked(handles):
        yield


def _ends_of_rows(
    adapter: Adapter, prompt: Encoded, outputs: Tensor, heads: Sequence[Head], begun: Sequence[int]
) -> Tensor:
    """For decoders that take no branches, and for answers of more than a token: the prompt but its
    last token once, then a row for that token as it is and one for each head, which go on."""
    layers = torch.tensor([layer for layer, _ in heads])
    numbers = torch.tensor([head for _, head in heads], device=adapter.device)

    def replace(layer: int, seen: Tensor) -> Tensor:
        changed = seen.clone()
        here = (layers == layer).nonzero()[:, 0].to(adapter.device)
        changed[1 + here, 0, numbers[here]] = outputs[layer, numbers[here]]
        return changed

    rows = 1 + len(heads)
    cache = copies(prefilled(adapter, prompt), rows)
    with head_hooks(adapter, replace):
        ends = [last_of_rows(adapter, prompt, cache, rows)]
    for count in range(1, 1 + len(begun)):
        ends.append(last_of_rows(adapter, continued(prompt, begun[:count]), cache, rows))
    return torch.stack(ends)


def plain_probability(adapter: Adapter, prompt: Encoded, answer: Sequence[int]) -> float:
    """The probability of the tokens of an ``answer``, of all together, after the prompt, in a pass
    each."""
    each = []
    for number, token in enumerate(answer):
        asked = continued(prompt, answer[:number])
        columns = [len(asked.ids)] * len(adapter.layers)
        final = end_of_pass(adapter, [whole(asked)], columns)
        each += probabilities(adapter, prompt, final[0, -1:], token)
    return prod(each)


@torch.inference_mode()
def probabilities(adapter: Adapter, prompt: Encoded, residuals: Tensor, token: int) -> list[float]:
    """Of ``token``, after last residual streams (answers, width) of the prompt; some logits at a
    time. Raises `UserError` where they are no numbers."""
    shares = [
        adapter.logits(some).float().softmax(dim=-1)[:, token]
        for some in residuals.split(LOGITS_AT_ONCE)
    ]
    found = torch.cat(shares).tolist()
    if any(map(math.isnan, found)):
        refuse(adapter, whole_named(adapter, prompt))
    return found


def function_vector(adapter: Adapter, outputs: Tensor, chosen: Sequence[Head]) -> Tensor:
    """The sum (width,), in float32, of what the ``chosen`` heads' ``outputs`` (layers, heads, head
    width) add to the residual stream. Raises `UserError` where a head does not exist."""
    kept = torch.zeros_like(outputs)
    for layer, head in chosen:
        adapter.heads.check(layer, head)
        kept[layer, head] = outputs[layer, head]
    layers = sorted({layer for layer, _ in chosen})
    kept = kept.to(adapter.device, adapter.dtype)
    summed = [adapter.heads.written(layer, kept[layer]).float() for layer in layers]
    return torch.stack(summed).sum(0).cpu()
