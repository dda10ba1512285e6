"""``python -m taskvectors.score.accuracy``: test accuracies by two metrics, with intervals."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.bootstrap import Resampled, average, interval, resample
from taskvectors.study.majority import random_baseline
from taskvectors.study.metrics import METRICS, judged
from taskvectors.study.predictions import read_predictions

log = logging.getLogger("taskvectors")
COLUMNS = [
    "method", "query_modality", "metric", "task",
    "accuracy", "low", "high", "spread", "seeds", "items",
]  # fmt: skip


def score(test: pd.DataFrame, tasks: list[str], resamples: int, seed: int) -> pd.DataFrame:
    """Accuracy per method, query modality, metric and task, and the average over tasks.

    An item's accuracy is its mean over seeds. ``low`` and ``high`` bound the 95 % bootstrap
    interval over items (for the average, the tasks are resampled side by side); ``spread`` is
    the standard deviation over seeds. A method that lacks a task has no average.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for (method, modality), group in test.groupby(["method", "query_modality"]):
        for metric in METRICS:
            found = {}
            for task in tasks:
                part = group[group["task"] == task]
                if not part.empty:
                    found[task] = resample(part, metric, resamples, rng)
            if len(found) == len(tasks):
                found["average"] = average(list(found.values()))
            about = {"method": method, "query_modality": modality, "metric": metric}
            rows += [{**about, "task": task, **_numbers(share)} for task, share in found.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def _numbers(share: Resampled) -> dict[str, Any]:
    low, high = interval(share.means)
    seeds = len(share.per_seed)
    return {
        "accuracy": share.mean,
        "low": low,
        "high": high,
        "spread": share.per_seed.std(ddof=0) if seeds > 1 else np.nan,
        "seeds": seeds,
        "items": share.items,
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+")
    parser.add_argument(
        "--datasets",
        type=Path,
        nargs="*",
        default=[],
        help="curate/<task>, for the baseline random",
    )
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    predictions = read_predictions(args.predictions)
    answered = judged(predictions[predictions["split"] == "test"])
    guessed = [random_baseline(folder) for folder in args.datasets]
    table = score(pd.concat([*guessed, answered]), args.tasks, args.resamples, args.seed)
    write_frame(args.out, table)
    log.info("%d accuracies", len(table))


if __name__ == "__main__":
    run_command(main)
