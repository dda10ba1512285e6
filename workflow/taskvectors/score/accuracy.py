"""``python -m taskvectors.score.accuracy``: test accuracies by two metrics, with intervals."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import write_text
from taskvectors.study.majority import random_baseline
from taskvectors.study.metrics import METRICS, mark
from taskvectors.study.predictions import read_predictions

log = logging.getLogger("taskvectors")
COLUMNS = [
    "method", "query_modality", "metric", "task",
    "accuracy", "low", "high", "spread", "seeds", "items",
]  # fmt: skip


def bootstrap_means(right: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Means of items drawn with replacement: per-item accuracies (items,) to (resamples,)."""
    drawn = rng.integers(0, len(right), size=(resamples, len(right)))
    return right[drawn].mean(axis=1)


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
            about = {"method": method, "query_modality": modality, "metric": metric}
            means, seeds, items = [], [], 0
            for task in tasks:
                part = group[group["task"] == task]
                if part.empty:
                    continue
                right = part.groupby("entity")[metric].mean().to_numpy(dtype=float)
                means.append((right.mean(), bootstrap_means(right, resamples, rng)))
                seeds.append(part.groupby("seed")[metric].mean())
                items += len(right)
                rows.append({**about, "task": task, **_summary(*means[-1], seeds[-1], len(right))})
            if len(means) == len(tasks):
                accuracy = float(np.mean([mean for mean, _ in means]))
                resampled = np.mean([boot for _, boot in means], axis=0)
                per_seed = pd.concat(seeds, axis=1).mean(axis=1)
                average = _summary(accuracy, resampled, per_seed, items)
                rows.append({**about, "task": "average", **average})
    return pd.DataFrame(rows, columns=COLUMNS)


def _summary(accuracy: float, resampled: np.ndarray, per_seed: pd.Series, items: int) -> dict:
    low, high = np.percentile(resampled, [2.5, 97.5])
    return {
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "spread": per_seed.std(ddof=0) if len(per_seed) > 1 else np.nan,
        "seeds": len(per_seed),
        "items": items,
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
    answered = mark(predictions[predictions["split"] == "test"])
    guessed = [random_baseline(folder) for folder in args.datasets]
    table = score(pd.concat([*guessed, answered]), args.tasks, args.resamples, args.seed)
    write_text(args.out, table.to_csv(index=False, lineterminator="\n"))
    log.info("%d accuracies", len(table))


if __name__ == "__main__":
    run_command(main)
