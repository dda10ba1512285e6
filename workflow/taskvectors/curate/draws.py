"""Splits and exemplar sets, drawn from passed generators only."""

import random
from collections.abc import Iterable

from taskvectors.base.errors import UserError
from taskvectors.study.datasets import SPLITS, ExemplarSet, Item


def split_entities(
    names: list[str], validation: int, test: int, rng: random.Random
) -> dict[str, list[str]]:
    """Disjoint splits of ``names``: shuffle, then ``validation`` and ``test`` of them.

    All tasks of an entity set share its splits, so that a patched task and a prompted task
    can be compared on one query. Raises `UserError` where there are too few names.
    """
    if len(names) < validation + test:
        raise UserError(
            f"{len(names)} entities have an image, but the splits need {validation} validation "
            f"and {test} test items; lower them under `splits` in the configuration."
        )
    shuffled = rng.sample(sorted(names), k=len(names))
    return {
        "validation": shuffled[:validation],
        "test": shuffled[validation : validation + test],
    }


def draw_exemplars(names: list[str], query: str, count: int, rng: random.Random) -> list[str]:
    """``count`` names of the query's own split, without the query (paper, section 3)."""
    others = [name for name in names if name != query]
    if len(others) < count:
        raise UserError(
            f"a split of {len(names)} items cannot give {count} exemplars beside the query; "
            "lower `exemplars` or raise the split's size in the configuration."
        )
    return rng.sample(others, k=count)


def exemplar_sets(
    task: str, items: Iterable[Item], seeds: Iterable[int], count: int
) -> list[ExemplarSet]:
    """One exemplar set per seed and item. A set depends on its seed, task, split and query
    only, so that another seed list leaves the other seeds' sets as they are."""
    items = list(items)
    sets = []
    for seed in seeds:
        for split in SPLITS:
            names = [item.entity for item in items if item.split == split]
            for query in names:
                rng = random.Random(f"{seed}/{task}/{split}/{query}")
                drawn = draw_exemplars(names, query, count, rng)
                sets.append(ExemplarSet(split, seed, query, tuple(drawn)))
    return sets
