"""Branch patching: every vector at every layer in one forward pass of a query.

The query's prompt without its last token is the trunk; each (vector, layer) pair is a branch
of one token, a copy of the delimiter at the delimiter's position. The vector is that copy's
residual stream after layer l, where the branch begins (`taskvectors.engine.branches`). A copy sees
the prompt and itself only, so each copy answers as one full pass with one patch would
(`taskvectors.engine.naive` is that pass).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from taskvectors.engine.branches import Growth, answers_of_branches
from taskvectors.engine.forward import Answer, check_patch
from taskvectors.engine.memory import within_memory
from taskvectors.engine.trees import Row, Span, cut, packed
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.prompts import QUERY


@dataclass(frozen=True)
class Site:
    """One patch to try: the vector called ``name`` at ``layer``."""

    name: str
    layer: int


def branching(encoded: Encoded, copies: int, longest: int) -> Row:
    """The prompt with ``copies`` of its last token as branches, which begin where they do in a
    prompt of the ``longest``."""
    trunk, last = cut(encoded, len(encoded.ids) - 1)
    return Row(trunk, (Span(last.ids, last.positions),) * copies, longest - len(encoded.ids))


def sweep(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    tokens_per_pass: int,
) -> Iterator[list[tuple[int, Site, Answer]]]:
    """Answer every prompt at every site; vectors are (layers, width).

    Yields batches of (prompt number, site, answer), sites in the order of their layers. Prompts
    are batched, and the branches of a prompt are split over passes, so that a pass has at most
    ``tokens_per_pass`` tokens.
    Raises ValueError where a prompt does not end at its query's delimiter.
    """
    for prompt in prompts:
        if prompt.marks[QUERY.name] != len(prompt.ids) - 1:
            raise ValueError("a patched prompt must end at its query's delimiter")
    longest = max(len(prompt.ids) for prompt in prompts)
    sites = sorted(sites, key=lambda site: site.layer)
    per_pass = max(1, min(len(sites), tokens_per_pass - longest))
    for first in range(0, len(sites), per_pass):
        chunk = sites[first : first + per_pass]
        by_layer = _vectors_by_layer(adapter, vectors, chunk)
        lengths = [len(prompt.ids) + len(chunk) for prompt in prompts]
        for group in packed(prompts, lengths, tokens_per_pass):
            together = partial(_sweep_batch, adapter, prompts, by_layer, chunk)
            apart = partial(_sweep_apart, adapter, prompts, vectors, chunk)
            yield within_memory(group, together, apart)


def _sweep_batch(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    by_layer: Mapping[int, Tensor],
    sites: Sequence[Site],
    group: Sequence[int],
) -> list[tuple[int, Site, Answer]]:
    longest = max(len(prompts[number].ids) for number in group)
    rows = [branching(prompts[number], len(sites), longest) for number in group]
    answers = answers_of_branches(adapter, rows, Growth(longest - 1, by_layer))
    return [
        (number, site, answer)
        for number, of_row in zip(group, answers, strict=True)
        for site, answer in zip(sites, of_row, strict=True)
    ]


def _sweep_apart(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    number: int,
) -> list[tuple[int, Site, Answer]]:
    """One prompt that does not fit into memory with all of its sites: some of them at a time."""

    def some_sites(part: Sequence[Site]) -> list[tuple[int, Site, Answer]]:
        by_layer = _vectors_by_layer(adapter, vectors, part)
        return _sweep_batch(adapter, prompts, by_layer, part, [number])

    return within_memory(sites, some_sites)


def _vectors_by_layer(
    adapter: Adapter, vectors: dict[str, Tensor], sites: Sequence[Site]
) -> dict[int, Tensor]:
    """By layer, what is patched there: (branches, width), in the order of the sites, which are
    sorted by layer."""
    names: dict[int, list[str]] = {}
    for site in sites:
        check_patch(adapter, site.layer, vectors[site.name].shape[1:])
        names.setdefault(site.layer, []).append(site.name)
    return {
        layer: torch.stack([vectors[name][layer] for name in here]).to(
            adapter.device, adapter.dtype
        )
        for layer, here in names.items()
    }
