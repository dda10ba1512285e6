"""Means over items that are drawn again with replacement, and the intervals that follow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from taskvectors.base.errors import UserError


def interval(resampled: np.ndarray) -> tuple[float, float]:
    """The ends of the 95 % interval of a quantity's resampled values."""
    low, high = np.percentile(resampled, [2.5, 97.5])
    return float(low), float(high)


def bootstrap_means(values: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Means of items drawn with replacement: a number per item (items,) to (resamples,)."""
    drawn = rng.integers(0, len(values), size=(resamples, len(values)))
    return values[drawn].mean(axis=1)


@dataclass(frozen=True)
class Resampled:
    """A share of items: its mean, (resamples,) means of items drawn again, the mean of each seed
    (none where answers have no seed), and how many items there are."""

    mean: float
    means: np.ndarray
    per_seed: pd.Series
    items: int


def resample(
    answers: pd.DataFrame, column: str, resamples: int, rng: np.random.Generator
) -> Resampled:
    """The share of ``answers`` where ``column`` is true. An item's share is its mean over seeds."""
    by_item = answers.groupby("entity")[column].mean().to_numpy(dtype=float)
    per_seed = answers.groupby("seed")[column].mean()
    means = bootstrap_means(by_item, resamples, rng)
    return Resampled(float(by_item.mean()), means, per_seed, len(by_item))


def average(parts: Sequence[Resampled]) -> Resampled:
    """The average of several shares, whose items were drawn side by side."""
    return Resampled(
        float(np.mean([part.mean for part in parts])),
        np.mean([part.means for part in parts], axis=0),
        pd.concat([part.per_seed for part in parts], axis=1).mean(axis=1),
        sum(part.items for part in parts),
    )


@dataclass(frozen=True)
class Accuracy:
    """A method's accuracy averaged over tasks.

    ``per_seed`` is (seeds,); ``resampled`` is (seeds, resamples), by bootstrap over items. A
    method without seeds has one. ``items`` counts the items of all tasks.
    """

    per_seed: np.ndarray
    resampled: np.ndarray
    items: int

    @property
    def mean(self) -> float:
        return float(self.per_seed.mean())


class Answers:
    """One model's test answers: for each method what was right, on the same resampled items."""

    def __init__(self, test: pd.DataFrame, tasks: Sequence[str], resamples: int, seed: int):
        """``test`` has a row per answer: task, method, query_modality, seed, entity, metrics."""
        rng = np.random.default_rng(seed)
        self.test = test
        self.tasks = list(tasks)
        self.groups = dict(iter(test.groupby(["method", "query_modality", "task"])))
        self.entities = {task: sorted(set(part["entity"])) for task, part in test.groupby("task")}
        self.draws = {
            task: rng.integers(0, len(names), size=(resamples, len(names)))
            for task, names in self.entities.items()
        }

    def methods(self) -> set[str]:
        """Every method that was asked."""
        return set(self.test["method"])

    def accuracy(self, method: str, query: str, metric: str) -> Accuracy | None:
        """Accuracy on queries of one modality; None where a task was not asked.

        Raises `UserError` where a method was asked other items than the others.
        """
        per_task, resampled = [], []
        for task in self.tasks:
            any_query = self.groups.get((method, "any", task))
            part = self.groups.get((method, query, task), any_query)
            if part is None:
                return None
            keyed = part.assign(seed=part["seed"].fillna(0)).set_index(["seed", "entity"])
            right = keyed[metric].astype(float).unstack("entity")
            if right.columns.tolist() != self.entities[task] or right.isna().any(axis=None):
                raise UserError(
                    f"{method} was not asked every test item of {task} under every seed; "
                    "delete the task's predictions and run again."
                )
            values = right.to_numpy()
            per_task.append(values.mean(axis=1))
            resampled.append(values[:, self.draws[task]].mean(axis=2))
        items = sum(len(self.entities[task]) for task in self.tasks)
        return Accuracy(np.mean(per_task, axis=0), np.mean(resampled, axis=0), items)
