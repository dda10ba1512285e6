"""The headline contrasts: pairs of methods that are asked the same queries."""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from taskvectors.score.answers import Answers


@dataclass(frozen=True)
class Contrast:
    """Two methods that are asked the same queries of one modality."""

    method: str
    other: str
    query: str


CONTRASTS = (
    Contrast("text_icl_xpatch", "text_icl_xbase", "image"),
    Contrast("image_icl_patch", "image_icl_base", "image"),
    Contrast("text_icl_xpatch", "image_icl_patch", "image"),
    Contrast("text_icl_patch", "text_icl_base", "text"),
    Contrast("text_icl_patch", "image_icl_xpatch", "text"),
)


def asked_of_every_task(answers: Answers, contrast: Contrast) -> bool:
    """Whether both methods of a contrast were asked of every task."""
    sides = (contrast.method, contrast.other)
    asked = (answers.part(side, contrast.query, task) for side in sides for task in answers.tasks)
    return all(part is not None for part in asked)


def contrasts_of(answers: Answers) -> Iterator[Contrast]:
    """The contrasts whose two methods were asked of every task."""
    yield from (one for one in CONTRASTS if asked_of_every_task(answers, one))


def outcomes_of(
    answers: Answers, contrast: Contrast, metric: str
) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """By task, what was right of the two methods: (seeds, items) each."""
    found = {}
    for task in answers.tasks:
        left = answers.by_seed(contrast.method, contrast.query, metric, task)
        right = answers.by_seed(contrast.other, contrast.query, metric, task)
        if left is not None and right is not None:
            found[task] = left, right
    return found
