"""The answers of patched queries, by whichever sweep the adapter's decoder takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import Tensor

from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.forward import Answer
from taskvectors.engine.sweep import Site, sweep
from taskvectors.models.base import Adapter, Encoded

TOKENS_PER_PASS = 4096


def patched_answers(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
) -> Iterator[list[tuple[int, Site, Answer]]]:
    """Every prompt at every site, in batches of (prompt number, site, answer); vectors are
    (layers, width)."""
    answer_all = sweep if adapter.branching else cached_sweep
    yield from answer_all(adapter, prompts, vectors, sites, TOKENS_PER_PASS)
