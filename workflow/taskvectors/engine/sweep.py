"""Branch patching: every vector at every layer in one forward pass of a query.

The query's prompt without its last token is the trunk; each (vector, layer) pair is a branch
of one token, a copy of the delimiter at the delimiter's position. At layer l the residual
stream of the copies of layer l is replaced by their vectors. A copy sees the prompt and
itself only, so each copy answers as one full pass with one patch would
(`taskvectors.engine.naive` is that pass).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product

import torch
from torch import Tensor

from taskvectors.engine.forward import NOWHERE, Answer, check_patch, run_at
from taskvectors.engine.memory import within_memory
from taskvectors.engine.trees import Row, Span, cut, packed
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.prompts import QUERY


@dataclass(frozen=True)
class Site:
    """One patch to try: the vector called ``name`` at ``layer``."""

    name: str
    layer: int


def branching(encoded: Encoded, copies: int) -> Row:
    """The prompt with ``copies`` of its last token as branches."""
    trunk, last = cut(encoded, len(encoded.ids) - 1)
    return Row(trunk, (Span(last.ids, last.positions),) * copies)


def sweep(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    tokens_per_pass: int,
) -> Iterator[list[tuple[int, Site, Answer]]]:
    """Answer every prompt at every site; vectors are (layers, width).

    Yields batches of (prompt number, site, answer). Prompts are batched, and the branches of
    a prompt are split over passes, so that a pass has at most ``tokens_per_pass`` tokens.
    Raises ValueError where a prompt does not end at its query's delimiter.
    """
    for prompt in prompts:
        if prompt.marks[QUERY.name] != len(prompt.ids) - 1:
            raise ValueError("a patched prompt must end at its query's delimiter")
    longest = max(len(prompt.ids) for prompt in prompts)
    per_pass = max(1, min(len(sites), tokens_per_pass - longest))
    for first in range(0, len(sites), per_pass):
        chunk = sites[first : first + per_pass]
        by_layer = _copies_by_layer(adapter, vectors, chunk)
        lengths = [len(prompt.ids) + len(chunk) for prompt in prompts]
        for group in packed(prompts, lengths, tokens_per_pass):
            together = partial(_sweep_batch, adapter, prompts, by_layer, chunk)
            apart = partial(_sweep_apart, adapter, prompts, vectors, chunk)
            yield within_memory(group, together, apart)


def _sweep_batch(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    by_layer: Mapping[int, tuple[Tensor, Tensor]],
    sites: Sequence[Site],
    group: Sequence[int],
) -> list[tuple[int, Site, Answer]]:
    asked = [prompts[number] for number in group]
    rows = [branching(prompt, len(sites)) for prompt in asked]
    in_row = torch.arange(len(rows), device=adapter.device).unsqueeze(1)
    # The first copy stands where the prompt's last token did.
    first = torch.tensor([len(prompt.ids) - 1 for prompt in asked], device=adapter.device)
    patches = {
        layer: ((in_row, first.unsqueeze(1) + copies), here)
        for layer, (copies, here) in by_layer.items()
    }
    places = first.unsqueeze(1) + torch.arange(len(sites), device=adapter.device)
    answer_at = in_row.expand_as(places).flatten(), places.flatten()
    _, answers = run_at(adapter, rows, NOWHERE, patches, answer_at)
    tried = product(group, sites)
    return [(number, site, one) for (number, site), one in zip(tried, answers, strict=True)]


def _sweep_apart(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    number: int,
) -> list[tuple[int, Site, Answer]]:
    """One prompt that does not fit into memory with all of its sites: some of them at a time."""

    def some_sites(part: Sequence[Site]) -> list[tuple[int, Site, Answer]]:
        return _sweep_batch(
            adapter, prompts, _copies_by_layer(adapter, vectors, part), part, [number]
        )

    return within_memory(sites, some_sites)


def _copies_by_layer(
    adapter: Adapter, vectors: dict[str, Tensor], sites: Sequence[Site]
) -> dict[int, tuple[Tensor, Tensor]]:
    """By layer, which of the copies are patched there (copies,), and with what (copies, width)."""
    numbers: dict[int, list[int]] = {}
    for number, site in enumerate(sites):
        vector = vectors[site.name]
        check_patch(adapter, site.layer, vector.shape[1:])
        numbers.setdefault(site.layer, []).append(number)
    return {
        layer: (
            torch.tensor(copies, device=adapter.device),
            torch.stack([vectors[sites[number].name][layer] for number in copies]).to(
                adapter.device, adapter.dtype
            ),
        )
        for layer, copies in numbers.items()
    }
