"""What one job of ``taskvectors.read`` reads: its parts, and the rows of their forward passes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from taskvectors.engine.trees import Row, whole
from taskvectors.jobs.queries import Query, asked, asked_together, modalities_of
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.datasets import ExemplarSet
from taskvectors.study.predictions import ICL_MODALITY
from taskvectors.study.prompts import EXEMPLAR, Template


@dataclass(frozen=True)
class ReadPart:
    """The exemplar sets of one specification, split and seed; set n is row n of its activations."""

    specification: str
    split: str
    seed: int
    sets: tuple[ExemplarSet, ...]

    @property
    def name(self) -> str:
        return f"{self.specification}-{self.split}-{self.seed}"

    @property
    def sites(self) -> tuple[str, ...]:
        """The delimiters whose activations are kept: only validation makes task vectors."""
        return ("exemplar", "query") if self.split == "validation" else ("query",)

    def shapes(self, adapter: Adapter) -> dict[str, tuple[int, ...]]:
        """Names and shapes (prompts, layers, width) of the part's tensors."""
        shape = (len(self.sets), len(adapter.layers), adapter.width)
        return {self.tensor_name(site): shape for site in self.sites}

    def tensor_name(self, site: str) -> str:
        """Name of a tensor; ``site`` is ``exemplar`` or ``query`` (which delimiter)."""
        return f"{self.specification}/{self.split}/{self.seed}/{site}"


def read_parts(sets: Iterable[ExemplarSet], specifications: Sequence[str]) -> list[ReadPart]:
    """The parts of a job, specification by specification."""
    groups: dict[tuple[str, int], list[ExemplarSet]] = {}
    for drawn in sets:
        groups.setdefault((drawn.split, drawn.seed), []).append(drawn)
    return [
        ReadPart(specification, split, seed, tuple(group))
        for specification in specifications
        for (split, seed), group in groups.items()
    ]


@dataclass(frozen=True)
class ReadJob:
    """One row: an exemplar set of ``part``, and the queries asked after it.

    ``number`` is the set's row in the activations; ``read_at`` and ``answer_at`` are token
    indices in the row, the last exemplar's delimiter and each query's.
    """

    part: ReadPart
    number: int
    row: Row
    read_at: int
    answer_at: tuple[int, ...]
    queries: tuple[Query, ...]
    prompts: tuple[Encoded, ...]


def tensor_name(specification: str, split: str, seed: int, site: str) -> str:
    """Name of an activation tensor; ``site`` is ``exemplar`` or ``query`` (which delimiter)."""
    return f"{specification}/{split}/{seed}/{site}"


def plan(
    adapter: Adapter,
    template: Template,
    queries: dict[tuple[str, str], Query],
    part: ReadPart,
    numbers: Iterable[int],
) -> list[ReadJob]:
    """The sets of a part with the given numbers, encoded; ``queries`` are by entity, modality."""
    modalities = modalities_of(adapter)
    modality = ICL_MODALITY[part.specification]
    jobs = []
    for number in numbers:
        drawn = part.sets[number]
        examples = [queries[name, modality].item for name in drawn.exemplars]
        context = template.exemplars([(asked(item, modality), item.label) for item in examples])
        asks = tuple(queries[drawn.query, modality] for modality in modalities)
        prompts = tuple(
            adapter.encode((*context, *template.query(asked(query.item, query.modality))))
            for query in asks
        )
        read_at = prompts[0].marks[EXEMPLAR.name]
        for row, ends, chosen in _rows(adapter, prompts):
            kept = [tuple(one[c] for c in chosen) for one in (asks, prompts)]
            jobs.append(ReadJob(part, number, row, read_at, ends, *kept))
    return jobs


def _rows(
    adapter: Adapter, prompts: Sequence[Encoded]
) -> list[tuple[Row, tuple[int, ...], list[int]]]:
    """Prompts that begin alike as rows: (row, where each prompt ends in it, which prompts).

    One branching row, or a row per prompt where the decoder takes no branches.
    """
    if adapter.branching:
        row, ends = asked_together(prompts)
        return [(row, ends, list(range(len(prompts))))]
    return [(whole(one), (len(one.ids) - 1,), [n]) for n, one in enumerate(prompts)]
