"""``python -m taskvectors.score.pairs``: two methods on the same queries, answer by answer.

For the headline contrasts: how many queries both methods get right, only one, or neither, and
how likely so uneven a split of "only one" is by chance. One seed's answers to one task are
pairs that have nothing to do with one another, and the exact McNemar test is right for them.
Over seeds and tasks an entity is asked again and again; there the two methods' answers are
swapped for whole entities, at random, which is the same test for clusters.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import permutation_test
from statsmodels.stats.contingency_tables import mcnemar

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.answers import Answers, read_answers
from taskvectors.score.bootstrap import Bootstrap, named_generator
from taskvectors.score.contrasts import Contrast, contrasts_of, outcomes_of
from taskvectors.study.metrics import METRICS

log = logging.getLogger("taskvectors")
MCNEMAR, SWAPPED = "exact McNemar", "swapped by entity"
COLUMNS = ["method", "other", "query_modality", "metric", "task", "seed"]
COLUMNS += ["both", "method_only", "other_only", "neither", "difference", "p", "test"]


def pair_rows(answers: Answers, contrast: Contrast, metric: str) -> Iterator[dict[str, Any]]:
    """A row per task and seed, one per task over all seeds, and one over all tasks."""
    by_task = outcomes_of(answers, contrast, metric)
    for task, (left, right) in by_task.items():
        for seed in left.index:
            counts = _counts(left.loc[[seed]], right.loc[[seed]])
            both, left_only, right_only, neither = counts.values()
            test = mcnemar([[both, left_only], [right_only, neither]], exact=True)
            difference = (left_only - right_only) / left.shape[1]
            tested = {"difference": difference, "p": float(test.pvalue), "test": MCNEMAR}
            yield {"task": task, "seed": seed, **counts, **tested}
        yield {"task": task, **_counts(left, right), **_swapped(answers, {task: (left, right)})}
    counts = pd.DataFrame([_counts(*both) for both in by_task.values()]).sum().to_dict()
    yield {"task": "all", **counts, **_swapped(answers, by_task)}


def _counts(left: pd.DataFrame, right: pd.DataFrame) -> dict[str, int]:
    one, other = left.to_numpy(dtype=bool), right.to_numpy(dtype=bool)
    return {
        "both": int((one & other).sum()),
        "method_only": int((one & ~other).sum()),
        "other_only": int((~one & other).sum()),
        "neither": int((~one & ~other).sum()),
    }


def _swapped(
    answers: Answers, by_task: dict[str, tuple[pd.DataFrame, pd.DataFrame]]
) -> dict[str, Any]:
    """The difference averaged over seeds and tasks, and its p-value when the two methods' answers
    are swapped for whole entities."""
    sides = []
    for side in (0, 1):
        right = [both[side] for both in by_task.values()]
        shares = [answered.mean() / (answered.shape[1] * len(right)) for answered in right]
        sides.append(pd.concat(shares).groupby(level=0).sum().to_numpy())
    found = permutation_test(
        sides,
        lambda one, other, axis: (one - other).sum(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=answers.bootstrap.resamples,
        rng=named_generator(answers.bootstrap.seed, "swapped", *by_task),
    )
    return {"difference": found.statistic, "p": float(found.pvalue), "test": SWAPPED}


def pairs(answers: Answers) -> pd.DataFrame:
    """``pairs.csv``: the rows of all contrasts and metrics."""
    rows = [
        {
            "method": contrast.method,
            "other": contrast.other,
            "query_modality": contrast.query,
            "metric": metric,
            **row,
        }
        for contrast in contrasts_of(answers)
        for metric in METRICS
        for row in pair_rows(answers, contrast, metric)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    test = read_answers(args.predictions, [])
    answers = Answers(test, args.tasks, Bootstrap(args.resamples, args.seed))
    table = pairs(answers)
    write_frame(args.out, table)
    log.info("%d rows", len(table))


if __name__ == "__main__":
    run_command(main)
