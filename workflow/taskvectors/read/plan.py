"""What one job of ``taskvectors.read`` reads: sets by specification, split and seed, as rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from taskvectors.engine.trees import Row, whole
from taskvectors.jobs.queries import (
    Query,
    asked,
    asked_together,
    modalities_of,
    same_exemplars,
)
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.datasets import ExemplarSet
from taskvectors.study.predictions import ICL_MODALITY
from taskvectors.study.prompts import EXEMPLAR, Template
from taskvectors.study.vectors import (
    BEFORE_TEXT_SITE,
    CONTEXT_SITE,
    EXEMPLAR_SITE,
    QUERY_SITE,
    ActivationName,
)


@dataclass(frozen=True)
class SeedSets:
    """The exemplar sets of one specification, split and seed; set n is row n of its activations."""

    specification: str
    split: str
    seed: int
    sets: tuple[ExemplarSet, ...]

    @property
    def sites(self) -> tuple[str, ...]:
        """Where activations are kept: only validation makes task vectors."""
        return (EXEMPLAR_SITE, CONTEXT_SITE, QUERY_SITE) if self.is_averaged else (QUERY_SITE,)

    @property
    def is_averaged(self) -> bool:
        """Whether a task vector is made of these sets."""
        return self.split == "validation"

    def activation(self, site: str) -> str:
        """Name of the activations at ``site``."""
        return str(ActivationName(self.specification, self.split, self.seed, site))


def seed_sets(sets: Iterable[ExemplarSet], specifications: Sequence[str]) -> list[SeedSets]:
    """The sets of a job in groups, specification by specification."""
    groups: dict[tuple[str, int], list[ExemplarSet]] = {}
    for drawn in sets:
        groups.setdefault((drawn.split, drawn.seed), []).append(drawn)
    return [
        SeedSets(specification, split, seed, tuple(group))
        for specification in specifications
        for (split, seed), group in groups.items()
    ]


@dataclass(frozen=True)
class SetRow:
    """One row of a forward pass: an exemplar set, and the queries asked after it.

    ``number`` is the set's row in the activations; ``read_at`` and ``answer_at`` are token
    indices in the row, the last exemplar's delimiter and each query's. ``site`` is what the
    former is called, None where another row of the same set reads it.
    """

    number: int
    row: Row
    site: str | None
    read_at: int
    answer_at: tuple[int, ...]
    queries: tuple[Query, ...]
    prompts: tuple[Encoded, ...]


def set_rows(
    adapter: Adapter,
    template: Template,
    queries: dict[tuple[str, str], Query],
    group: SeedSets,
    numbers: Iterable[int],
) -> list[SetRow]:
    """The sets of a group with the given numbers, encoded; ``queries`` are by entity, modality.

    A set is one row, or one for each of its queries where the decoder takes no branches or the
    model lays out the exemplars in other tokens before an image query than before a text query.
    """
    modalities = modalities_of(adapter)
    modality = ICL_MODALITY[group.specification]
    planned = []
    for number in numbers:
        drawn = group.sets[number]
        examples = [queries[name, modality].item for name in drawn.exemplars]
        context = template.exemplars([(asked(item, modality), item.label) for item in examples])
        asks = tuple(queries[drawn.query, modality] for modality in modalities)
        prompts = tuple(
            replace(
                adapter.encode((*context, *template.query(asked(query.item, query.modality)))),
                to_text=query.encoded.to_text,
            )
            for query in asks
        )
        read_at = [prompt.marks[EXEMPLAR.name] for prompt in prompts]
        together = same_exemplars(prompts)
        if together and adapter.branching:
            row, ends = asked_together(prompts)
            planned.append(SetRow(number, row, EXEMPLAR_SITE, read_at[0], ends, asks, prompts))
            continue
        for query, prompt, at in zip(asks, prompts, read_at, strict=True):
            # The last is the image query's, where the model takes images.
            elsewhere = None if together else BEFORE_TEXT_SITE
            site = EXEMPLAR_SITE if prompt is prompts[-1] else elsewhere
            end = (len(prompt.ids) - 1,)
            planned.append(SetRow(number, whole(prompt), site, at, end, (query,), (prompt,)))
    return planned
