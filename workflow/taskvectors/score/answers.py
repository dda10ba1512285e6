"""One model's test answers, and the estimates of what was right among them."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from taskvectors.base.errors import UserError
from taskvectors.score.bootstrap import Bootstrap, Estimate, average, estimate
from taskvectors.study.constant import constant_baseline
from taskvectors.study.majority import random_baseline
from taskvectors.study.metrics import CASELESS, METRICS, judged_caseless
from taskvectors.study.predictions import read_predictions

ALL_METRICS = (*METRICS, CASELESS)


def read_answers(
    predictions: Sequence[Path], datasets: Sequence[Path], validation: Sequence[Path] = ()
) -> pd.DataFrame:
    """The test answers in ``predictions``, judged, with those of the baselines that need no model.

    `random` is made from the exemplars in ``datasets`` (``curate/<task>``), `constant` from the
    validation items that ``predictions`` and ``validation`` asked; where there are none, it is
    left out.
    """
    read = read_predictions(predictions)
    test = read[read["split"] == "test"]
    asked = pd.concat([read, read_predictions(validation)]) if validation else read
    constant = constant_baseline(asked[asked["split"] == "validation"], test, ALL_METRICS)
    guessed = [random_baseline(folder) for folder in datasets]
    return pd.concat([judged_caseless(test), *guessed, constant])


def by_seed_and_item(answers: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of answers with a row per seed (one, named by a missing seed, where there are
    none) and a column per item in the order of their names."""
    known = answers.assign(seed=answers["seed"].fillna(-1))
    table = known.pivot(index="seed", columns="entity", values=column).astype(float)
    return table.rename(index={-1: float("nan")})


class Answers:
    """Test answers by method, modality of the query and task."""

    def __init__(self, test: pd.DataFrame, tasks: Sequence[str], bootstrap: Bootstrap):
        """``test`` has a row per answer: task, method, query_modality, seed, entity, metrics."""
        self.tasks = list(tasks)
        self.bootstrap = bootstrap
        self._parts = dict(iter(test.groupby(["method", "query_modality", "task"], sort=False)))
        self.entities = {
            task: tuple(sorted(set(part["entity"]))) for task, part in test.groupby("task")
        }

    def methods(self) -> set[str]:
        """Every method that was asked."""
        return {method for method, _, _ in self._parts}

    def asked(self) -> list[tuple[str, str]]:
        """Every method with the modality of its queries, in order of appearance."""
        return list(dict.fromkeys((method, modality) for method, modality, _ in self._parts))

    def part(self, method: str, query: str, task: str) -> pd.DataFrame | None:
        """The answers of one method to one task; None where it was not asked."""
        any_query = self._parts.get((method, "any", task))
        return self._parts.get((method, query, task), any_query)

    def by_seed(self, method: str, query: str, metric: str, task: str) -> pd.DataFrame | None:
        """What was right: a row per seed, a column per item; None where it was not asked.

        Raises `UserError` where a method was asked other items than the others.
        """
        part = self.part(method, query, task)
        if part is None:
            return None
        right = by_seed_and_item(part, metric)
        asked = right.notna().sum()
        whole = (asked == len(right)).all() or (asked == 1).all()
        if tuple(right.columns) != self.entities[task] or not whole:
            raise UserError(
                f"{method} was not asked every test item of {task} under every seed; "
                "delete the task's predictions and run again."
            )
        return right

    def estimate(self, method: str, query: str, metric: str, task: str) -> Estimate | None:
        """Accuracy on one task; None where it was not asked."""
        right = self.by_seed(method, query, metric, task)
        return None if right is None else estimate(right, self.bootstrap)

    def average(self, method: str, query: str, metric: str) -> Estimate | None:
        """Accuracy averaged over tasks; None where a task was not asked."""
        parts = [self.estimate(method, query, metric, task) for task in self.tasks]
        known = [part for part in parts if part is not None]
        return average(known) if len(known) == len(self.tasks) else None
