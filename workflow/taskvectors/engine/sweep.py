"""Branch patching: every vector at every layer in one forward pass of a query.

The query's prompt without its last token is the trunk; each (vector, layer) pair is a branch
of one token, a copy of the delimiter at the delimiter's position. At layer l the residual
stream of the copies of layer l is replaced by their vectors. A copy sees the prompt and
itself only, so each copy answers as one full pass with one patch would
(`taskvectors.engine.naive` is that pass).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from taskvectors.engine.forward import Answer, Patch, run
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
    return Row(trunk, tuple(Span(last.ids, last.positions) for _ in range(copies)))


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
        lengths = [len(prompt.ids) + len(chunk) for prompt in prompts]
        for group in packed(prompts, lengths, tokens_per_pass):
            batch = partial(_sweep_batch, adapter, prompts, vectors, chunk)
            yield within_memory(group, batch)


def _sweep_batch(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
    group: Sequence[int],
) -> list[tuple[int, Site, Answer]]:
    rows, patches, ends, asked = [], [], [], []
    for row, number in enumerate(group):
        rows.append(branching(prompts[number], len(sites)))
        for index, site in enumerate(sites, start=len(prompts[number].ids) - 1):
            patches.append(Patch(row, index, site.layer, vectors[site.name][site.layer]))
            ends.append((row, index))
            asked.append((number, site))
    _, answers = run(adapter, rows, patches=patches, answers=ends)
    return [(number, site, answer) for (number, site), answer in zip(asked, answers, strict=True)]
