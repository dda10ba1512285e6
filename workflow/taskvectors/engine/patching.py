"""First answers to batches of prompts, plain and patched: packing, token budget, memory guard."""

from collections.abc import Iterator, Sequence

from torch import Tensor

from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.forward import Answer, run
from taskvectors.engine.memory import within_memory
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import Row, packed, whole
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.prompts import QUERY

TOKENS_PER_PASS = 4096


def first_answers(
    adapter: Adapter, rows: Sequence[Row], ends: Sequence[Sequence[int]]
) -> list[list[Answer]]:
    """The answers after some tokens of each row; ``ends`` are their indices in the row."""

    def answer_batch(batch: Sequence[int]) -> list[tuple[int, Answer]]:
        asked = [(place, end) for place, number in enumerate(batch) for end in ends[number]]
        _, answers = run(adapter, [rows[number] for number in batch], answers=asked)
        return [(batch[place], one) for (place, _), one in zip(asked, answers, strict=True)]

    found: list[list[Answer]] = [[] for _ in rows]
    for group in packed(rows, [len(row) for row in rows], TOKENS_PER_PASS):
        for number, answer in within_memory(group, answer_batch):
            found[number].append(answer)
    return found


def plain_answers(adapter: Adapter, prompts: Sequence[Encoded]) -> list[Answer]:
    """The answers to prompts as they are, each at its query's delimiter."""
    rows = [whole(prompt) for prompt in prompts]
    answers = first_answers(adapter, rows, [[prompt.marks[QUERY.name]] for prompt in prompts])
    return [answer for (answer,) in answers]


def patched_answers(
    adapter: Adapter,
    prompts: Sequence[Encoded],
    vectors: dict[str, Tensor],
    sites: Sequence[Site],
) -> Iterator[list[tuple[int, Site, Answer]]]:
    """Every prompt at every site, in batches of (prompt number, site, answer), by whichever sweep
    the adapter's decoder takes; vectors are (layers, width).

    Raises `UserError` where activations are not finite.
    """
    answer_all = sweep if adapter.branching else cached_sweep
    yield from answer_all(adapter, prompts, vectors, sites, TOKENS_PER_PASS)
