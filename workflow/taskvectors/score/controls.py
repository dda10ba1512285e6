"""``python -m taskvectors.score.controls``: real task vectors less their controls, on the same
queries.

A control is a vector that should do nothing (`taskvectors.study.controls`); beside them stands
no_context, which is no vector at all. Where a real vector is not better than its controls, it is no
sign of a task that it is better than no_context.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.answers import Answers, read_answers
from taskvectors.score.bootstrap import Bootstrap, Estimate, average, interval
from taskvectors.score.contrasts import Contrast, asked_of_every_task
from taskvectors.score.verdicts import verdict
from taskvectors.study.metrics import METRICS
from taskvectors.study.predictions import MODALITIES, control_methods

log = logging.getLogger("taskvectors")
COLUMNS = ["method", "vector", "other", "query_modality", "metric", "task", "difference"]
COLUMNS += ["low", "high", "interval", "items_low", "items_high", "items", "seeds", "verdict"]
BETTER = {"above": 0.0}  # the claim that a verdict is about


def control_contrasts(answers: Answers) -> Iterator[tuple[str, Contrast]]:
    """Every real vector against no_context and each of its controls, by their names; those that
    were asked of every task."""
    for query in reversed(MODALITIES):
        for real, others in control_methods(query).items():
            contrasts = {vector: Contrast(real, other, query) for vector, other in others.items()}
            yield from (each for each in contrasts.items() if asked_of_every_task(answers, each[1]))


def difference_rows(answers: Answers, contrast: Contrast, metric: str) -> Iterator[dict[str, Any]]:
    """A row per task, and one of the average over tasks."""
    differences: dict[str, Estimate] = {}
    for task in answers.tasks:
        real = answers.estimate(contrast.method, contrast.query, metric, task)
        other = answers.estimate(contrast.other, contrast.query, metric, task)
        if real is not None and other is not None:
            differences[task] = real.less(other)
    differences["average"] = average(list(differences.values()))
    for task, found in differences.items():
        yield {
            "task": task,
            "difference": found.mean,
            **found.intervals(),
            "items": found.items,
            "seeds": found.seeds,
            "verdict": verdict(BETTER, *interval(found.deciding[0])),
        }


def control_pairs(answers: Answers) -> pd.DataFrame:
    """``control_pairs.csv``: the rows of all contrasts and metrics."""
    rows = [
        {
            "method": contrast.method,
            "vector": vector,
            "other": contrast.other,
            "query_modality": contrast.query,
            "metric": metric,
            **row,
        }
        for vector, contrast in control_contrasts(answers)
        for metric in METRICS
        for row in difference_rows(answers, contrast, metric)
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
    answers = Answers(
        read_answers(args.predictions, []), args.tasks, Bootstrap(args.resamples, args.seed)
    )
    table = control_pairs(answers)
    write_frame(args.out, table)
    log.info("%d rows", len(table))


if __name__ == "__main__":
    run_command(main)
