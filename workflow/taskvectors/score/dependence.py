"""Whether answers depend on the query at all.

A patched vector can make a model say its favourite label whatever is asked, and be right by it.
Shuffling a task's answers among its queries leaves such an accuracy where it was; what it takes
away is what the answers owe to their queries.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskvectors.score.bootstrap import Bootstrap
from taskvectors.study.metrics import right_for_all


@dataclass(frozen=True)
class Dependence:
    """One method's answers to one task, or several tasks' averaged.

    ``distinct`` is how many different answers there are, as a share of the queries, and
    ``commonest`` the share of the commonest answer, both averaged over seeds. ``accuracy`` is
    the answers' own, ``shuffled`` (resamples,) what it is where queries are shuffled, and
    ``expected`` its mean over all shuffles. ``gains`` (resamples,) are accuracy less expected,
    for queries that are drawn again.
    """

    distinct: float
    commonest: float
    accuracy: float
    expected: float
    shuffled: np.ndarray
    gains: np.ndarray

    @property
    def p_value(self) -> float:
        """The one-sided p-value of a permutation test: are as many right whatever is asked?"""
        as_good = np.count_nonzero(self.shuffled >= self.accuracy - 1e-12)
        return float((1 + as_good) / (1 + len(self.shuffled)))


def dependence(
    answers: pd.DataFrame, entities: Sequence[str], metric: str, bootstrap: Bootstrap
) -> Dependence | None:
    """The dependence of a method's answers to one task; None of a baseline without tokens.

    ``answers`` are predictions to the queries ``entities``. All answers to a query move
    together, and tasks on the same entities are shuffled alike.
    """
    if "token" not in answers or answers["token"].isna().any():
        return None
    items = answers.drop_duplicates("entity").set_index("entity").loc[list(entities)]
    right = right_for_all(answers, items, metric).astype(float)
    by_item = pd.DataFrame(right).groupby(answers["entity"].to_numpy()).mean()
    matrix = by_item.loc[list(entities)].to_numpy()
    weights, order = bootstrap.weights(entities), bootstrap.shuffles(entities)
    at_random = ((weights @ matrix) * weights).sum(axis=1)
    shares = answers.groupby("seed", dropna=False)["token_ids"].value_counts(normalize=True)
    by_seed = shares.groupby("seed", dropna=False)
    asked = answers.groupby("seed", dropna=False).size()
    return Dependence(
        distinct=float((by_seed.size() / asked).mean()),
        commonest=float(by_seed.max().mean()),
        accuracy=float(matrix.diagonal().mean()),
        expected=float(matrix.mean()),
        shuffled=matrix[order, np.arange(len(matrix))].mean(axis=1),
        gains=weights @ matrix.diagonal() - at_random,
    )


def average_dependence(parts: Sequence[Dependence]) -> Dependence:
    """The average over tasks, whose queries were shuffled and drawn side by side."""
    return Dependence(
        distinct=float(np.mean([part.distinct for part in parts])),
        commonest=float(np.mean([part.commonest for part in parts])),
        accuracy=float(np.mean([part.accuracy for part in parts])),
        expected=float(np.mean([part.expected for part in parts])),
        shuffled=np.mean([part.shuffled for part in parts], axis=0),
        gains=np.mean([part.gains for part in parts], axis=0),
    )
