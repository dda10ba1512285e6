"""Branch patching: every vector at every layer in one forward pass of a query.

The query's prompt without its last token is the trunk; each (vector, layer) pair is a branch
of one token, a copy of the delimiter at the delimiter's position. The vector is that copy's
residual stream after layer l, where the branch begins (`taskvectors.engine.branches`), or is added
to it. A copy sees the prompt and itself only, so each copy answers as one full pass with one patch
would (`taskvectors.engine.naive` is that pass).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from taskvectors.engine.branches import Growth, LayerWrite, branching, ends_of_branches
from taskvectors.engine.finite import whole_named
from taskvectors.engine.forward import Answer, check_patch, read_answers
from taskvectors.engine.memory import within_memory
from taskvectors.engine.trees import packed
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.prompts import QUERY


@dataclass(frozen=True)
class Site:
    """One patch to try: the vector called ``name`` after ``layer``, put in the residual stream's
    place, or with a ``strength`` added to it so many times."""

    name: str
    layer: int
    strength: float | None = None

    @property
    def added(self) -> bool:
        return self.strength is not None

    def vector(self, vectors: Mapping[str, Tensor]) -> Tensor:
        """Its vector (width,) of those (layers, width) by name, as often as it is added."""
        once = vectors[self.name][self.layer]
        return once if self.strength is None else self.strength * once


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
    Raises ValueError where a prompt does not end at its query's delimiter, and as `read_answers`.
    """
    for prompt in prompts:
        if prompt.marks[QUERY.name] != len(prompt.ids) - 1:
            raise ValueError("a patched prompt must end at its query's delimiter")
    longest = max(len(prompt.ids) for prompt in prompts)
    sites = sorted(sites, key=lambda site: site.layer)
    per_pass = max(1, min(len(sites), tokens_per_pass - longest))
    for first in range(0, len(sites), per_pass):
        chunk = sites[first : first + per_pass]
        by_layer = writes_by_layer(adapter, vectors, chunk)
        lengths = [len(prompt.ids) + len(chunk) for prompt in prompts]
        for group in packed(prompts, lengths, tokens_per_pass):
            together = partial(_sweep_batch, adapter, prompts, vectors, by_layer, chunk)
            apart = partial(_sweep_apart, adapter, prompts, vectors, chunk)
            yield within_memory(group, together, apart)


def _sweep_batch(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: Mapping[str, Tensor],
    by_layer: Mapping[int, LayerWrite],
    sites: Sequence[Site],
    group: Sequence[int],
) -> list[tuple[int, Site, Answer]]:
    asked = [prompts[number] for number in group]
    ends = swept_ends(adapter, asked, by_layer, sites).flatten(0, 1)
    answers = iter(read_answers(adapter, ends, patches_named(adapter, asked, vectors, sites)))
    return [(number, site, next(answers)) for number in group for site in sites]


def patches_named(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: Mapping[str, Tensor],
    sites: Sequence[Site],
) -> Callable[[int], str]:
    """What a pass asked, by the number of its answer: each of the prompts at all sites. Branches
    share it, and what is infinite in one leaves no number in the others: the largest is named."""

    def named(answer: int) -> str:
        site = max(
            sites, key=lambda one: float(one.vector(vectors).abs().max().nan_to_num(torch.inf))
        )
        strength = "" if site.strength is None else f" {site.strength:g} times"
        prompt = whole_named(adapter, prompts[answer // len(sites)])
        return f"{prompt}, with the vector {site.name} written{strength} after layer {site.layer},"

    return named


def swept_ends(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    by_layer: Mapping[int, LayerWrite],
    sites: Sequence[Site],
) -> Tensor:
    """The last residual streams (prompts, sites, width) of one pass; ``by_layer`` is what
    `writes_by_layer` makes of the sites, which are sorted by layer."""
    longest = max(len(prompt.ids) for prompt in prompts)
    own = any(site.added for site in sites)  # the delimiter itself, to which they are added
    begin = [0] * len(adapter.layers)
    for site in sites:
        begin[site.layer] += 1
    rows = [branching(prompt, len(sites) + own, longest) for prompt in prompts]
    return ends_of_branches(adapter, rows, Growth(longest - 1 + own, begin), by_layer)


def _sweep_apart(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    number: int,
) -> list[tuple[int, Site, Answer]]:
    """One prompt that does not fit into memory with all of its sites: some of them at a time."""

    def some_sites(part: Sequence[Site]) -> list[tuple[int, Site, Answer]]:
        by_layer = writes_by_layer(adapter, vectors, part)
        return _sweep_batch(adapter, prompts, vectors, by_layer, part, [number])

    return within_memory(sites, some_sites)


def writes_by_layer(
    adapter: Adapter, vectors: dict[str, Tensor], sites: Sequence[Site]
) -> dict[int, LayerWrite]:
    """By layer, what is patched or added there, in the order of the sites, which are sorted by
    layer."""
    by_layer: dict[int, list[Site]] = {}
    for site in sites:
        check_patch(adapter, site.layer, vectors[site.name].shape[1:])
        by_layer.setdefault(site.layer, []).append(site)
    writes = {}
    for layer, here in by_layer.items():
        stacked = torch.stack([site.vector(vectors) for site in here])
        added = None
        if any(site.added for site in here):
            added = torch.tensor([site.added for site in here], device=adapter.device)
        writes[layer] = LayerWrite(stacked.to(adapter.device, adapter.dtype), added)
    return writes
