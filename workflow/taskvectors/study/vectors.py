"""Names of activations and vectors: built here, and taken apart here.

An activation is read for a specification, split and seed at a site, a delimiter:
``text_icl/validation/1/exemplar``. A vector is a mean of them: ``text_icl/1``, or over the prompts
that hold five samples ``text_icl_n5/1``. What has no seed is named by its specification alone:
``instruction``. In a file of several tasks' vectors the task stands before all that.
"""

import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from typing import TypeVar

Value = TypeVar("Value")
INSTRUCTION = "instruction"
ENSEMBLE = "ensemble"  # the mean of a text ICL vector and an instruction vector
# A task's text ICL vector and what another task's image ICL vector has beyond its text ICL vector.
COMPOSED = "composed"
EXEMPLAR_SITE, QUERY_SITE = "exemplar", "query"
# No delimiter: the mean over all tokens before the last exemplar's.
CONTEXT_SITE = "context"
# The exemplar's delimiter before a text query, of a model that lays out the same exemplars in
# other tokens before an image query (Mantis); `EXEMPLAR_SITE` is then the latter's.
BEFORE_TEXT_SITE = "exemplar_before_text"
BEFORE_TEXT = "_before_text"


@dataclass(frozen=True)
class ActivationName:
    """``site`` is ``exemplar`` (the last exemplar's delimiter, where the task vector is read),
    ``query`` (the query's delimiter), `BEFORE_TEXT_SITE` or `CONTEXT_SITE`."""

    specification: str
    split: str
    seed: int
    site: str

    def __str__(self) -> str:
        return f"{self.specification}/{self.split}/{self.seed}/{self.site}"


def parse_activation_name(name: str) -> ActivationName | None:
    """The parts of an activation's name; None of the instruction's, which has none."""
    if name == INSTRUCTION:
        return None
    specification, split, seed, site = name.split("/")
    return ActivationName(specification, split, int(seed), site)


def activations_by_seed(
    activations: dict[str, Value], specification: str, split: str, site: str
) -> dict[int, Value]:
    """The activations of one specification, split and site, by seed."""
    parsed = {name: parse_activation_name(name) for name in activations}
    return {
        name.seed: activations[text]
        for text, name in parsed.items()
        if name is not None
        and (name.specification, name.split, name.site) == (specification, split, site)
    }


def sets_in_turn(by_seed: Mapping[int, Sized], most: int) -> list[tuple[int, int]]:
    """The first ``most`` exemplar sets as (seed, row), in turn from every seed."""
    longest = max(map(len, by_seed.values()), default=0)
    turns = [(seed, row) for row in range(longest) for seed in sorted(by_seed)]
    return [(seed, row) for seed, row in turns if row < len(by_seed[seed])][:most]


def vector_name(specification: str, seed: int | None) -> str:
    """Name of a vector in ``vectors.safetensors``."""
    return specification if seed is None else f"{specification}/{seed}"


def parse_vector_name(name: str) -> tuple[str, int | None]:
    """The specification and seed in a vector's name."""
    specification, _, seed = name.partition("/")
    return specification, int(seed) if seed else None


def task_vector_name(task: str, name: str) -> str:
    """Name of a vector in a file that has those of several tasks."""
    return f"{task}/{name}"


def vectors_of_task(vectors: Mapping[str, Value], task: str) -> dict[str, Value]:
    """One task's vectors of such a file, by their names within the task."""
    parts = {name: name.partition("/") for name in vectors}
    return {rest: vectors[name] for name, (first, _, rest) in parts.items() if first == task}


def take_before_text(
    vectors: Mapping[str, Value],
) -> tuple[dict[str, Value], dict[str, Value]]:
    """The vectors but those that were read before text queries, and these by the names of those
    in whose stead text queries take them; nearly all models have none."""
    rest, before_text = {}, {}
    for name, vector in vectors.items():
        specification, seed = parse_vector_name(name)
        if specification.endswith(BEFORE_TEXT):
            before_text[vector_name(specification.removesuffix(BEFORE_TEXT), seed)] = vector
        else:
            rest[name] = vector
    return rest, before_text


def samples_name(specification: str, samples: int) -> str:
    """The specification of a vector of some samples only: ``text_icl_n5``."""
    return f"{specification}_n{samples}"


def split_samples(specification: str) -> tuple[str, int | None]:
    """``text_icl_n5`` as ``text_icl`` and its 5 samples; samples are None for a full vector."""
    found = re.fullmatch(r"(?P<name>.+?)(?:_n(?P<samples>\d+))?", specification)
    if found is None:
        raise ValueError(f"{specification!r} names no specification")
    return found["name"], int(found["samples"]) if found["samples"] else None
