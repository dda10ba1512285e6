"""First answers to batches of prompts, plain and patched: packing, token budget, memory guard.

An answer is one token. Only where a prompt asks for it (`Encoded.to_text`) is an answer whose first
token shows no text written on, greedily and under the same patch, until one does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from torch import Tensor

from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.forward import Answer, Patch, run
from taskvectors.engine.memory import within_memory
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import Row, Span, continued, cut, packed, whole
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import goes_on
from taskvectors.study.prompts import QUERY

TOKENS_PER_PASS = 4096
ANSWERS_PER_ROW = 128


def first_answers(
    adapter: Adapter,
    rows: Sequence[Row],
    ends: Sequence[Sequence[int]],
    patches: Sequence[Patch] = (),
) -> list[list[Answer]]:
    """The answers after some tokens of each row; ``ends`` are their indices in the row."""
    of_row: dict[int, list[Patch]] = {}
    for patch in patches:
        of_row.setdefault(patch.row, []).append(patch)

    def answer_batch(batch: Sequence[int]) -> list[tuple[int, Answer]]:
        asked = [(place, end) for place, number in enumerate(batch) for end in ends[number]]
        patched = [
            replace(patch, row=place)
            for place, number in enumerate(batch)
            for patch in of_row.get(number, ())
        ]
        _, answers = run(adapter, [rows[number] for number in batch], (), patched, asked)
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
    begun = [Begun(prompt, answer) for prompt, (answer,) in zip(prompts, answers, strict=True)]
    return until_text(adapter, begun)


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
    for batch in answer_all(adapter, prompts, vectors, sites, TOKENS_PER_PASS):
        begun = [Begun(prompts[number], answer, site) for number, site, answer in batch]
        answers = until_text(adapter, begun, vectors)
        yield [(number, site, one) for (number, site, _), one in zip(batch, answers, strict=True)]


@dataclass(frozen=True)
class Begun:
    """An answer of one token to a prompt, which is patched at ``site`` if at any."""

    prompt: Encoded
    answer: Answer
    site: Site | None = None

    def cut(self) -> tuple[Span, Span]:
        """The prompt before its last token, where the patch is, and from there what is answered."""
        return cut(continued(self.prompt, self.answer.token_ids), len(self.prompt.ids) - 1)


def until_text(
    adapter: Adapter, begun: Sequence[Begun], vectors: Mapping[str, Tensor] | None = None
) -> list[Answer]:
    """The answers, gone on with where their prompts ask for it; ``vectors`` (layers, width) are
    those of the sites. A pass writes the next token of all that go on."""
    found = [one.answer for one in begun]
    going = [number for number, one in enumerate(begun) if one.prompt.to_text]
    while going := [number for number in going if goes_on(adapter, found[number].token_ids)]:
        asked = [replace(begun[number], answer=found[number]) for number in going]
        for number, token in zip(going, _next_tokens(adapter, asked, vectors or {}), strict=True):
            found[number] = replace(found[number], rest=(*found[number].rest, token))
    return found


def _next_tokens(
    adapter: Adapter, asked: Sequence[Begun], vectors: Mapping[str, Tensor]
) -> list[int]:
    """The next token of each answer; those to one prompt are branches of a row, if it has any."""
    most = ANSWERS_PER_ROW if adapter.branching else 1
    rows: list[Row] = []
    ends, patches = [], []
    for _, of_prompt in groupby(asked, lambda one: id(one.prompt)):
        answers = list(of_prompt)
        for first in range(0, len(answers), most):
            some = answers[first : first + most]
            trunks, branches = zip(*(one.cut() for one in some), strict=True)
            row = Row(trunks[0], branches)
            starts = row.starts[1:]
            patches += [
                Patch(len(rows), at, one.site.layer, one.site.vector(vectors), one.site.added)
                for at, one in zip(starts, some, strict=True)
                if one.site is not None
            ]
            ends.append([at + len(one.ids) - 1 for at, one in zip(starts, branches, strict=True)])
            rows.append(row)
    return [one.token_id for row in first_answers(adapter, rows, ends, patches) for one in row]
