"""``python -m taskvectors.score.conflict``: who wins where prompt and patch ask different tasks.

An answer's outcome is one of four: ``patch`` or ``prompt`` where it is right for that task
alone, ``both`` where it is right for both (their labels begin alike, or the first token is a
prefix of both), ``neither``.
"""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.bootstrap import Resampled, average, interval, resample
from taskvectors.study.conflicts import read_conflicts
from taskvectors.study.metrics import METRICS, judged
from taskvectors.study.tables import OUTCOMES, UNPATCHED

log = logging.getLogger("taskvectors")
PAIR = ["prompted", "patched"]
COLUMNS = [
    *PAIR, "specification", "query_modality", "metric", "outcome",
    "share", "low", "high", "least", "greatest", "seeds", "items",
]  # fmt: skip


def right_for(answers: pd.DataFrame, which: str) -> pd.DataFrame:
    """A column per metric: whether the answers are right for the task ``which``
    (``prompted`` or ``patched``)."""
    names = {f"{which}_label": "label", f"{which}_label_token_id": "label_token_id"}
    columns = answers[["token", "token_id", *names]].rename(columns=names)
    return judged(columns)[list(METRICS)]


def outcomes(answers: pd.DataFrame, metric: str) -> pd.Series:
    """The outcome of every answer by one metric."""
    prompt = right_for(answers, "prompted")[metric].to_numpy(dtype=bool)
    patch = right_for(answers, "patched")[metric].to_numpy(dtype=bool)
    chosen = np.select([patch & prompt, patch, prompt], ["both", "patch", "prompt"], "neither")
    return pd.Series(chosen, index=answers.index, name="outcome")


def shares(answers: pd.DataFrame, resamples: int, seed: int) -> pd.DataFrame:
    """The share of every outcome per pair of tasks, specification and metric, and the average
    over pairs (``prompted`` and ``patched`` are then "average").

    An item's share is its mean over seeds. ``low`` and ``high`` bound the 95 % bootstrap
    interval over items, ``least`` and ``greatest`` are the seeds' own shares.
    """
    rng = np.random.default_rng(seed)
    named = answers.assign(specification=answers["specification"].fillna(UNPATCHED))
    pairs = named.groupby(PAIR, sort=False).ngroups
    rows = []
    for (specification, modality), group in named.groupby(
        ["specification", "query_modality"], sort=False
    ):
        for metric in METRICS:
            found = outcomes(group, metric)
            for outcome in OUTCOMES:
                about = {
                    "specification": specification,
                    "query_modality": modality,
                    "metric": metric,
                    "outcome": outcome,
                }
                hits = group.assign(hit=found == outcome)
                rows += _rows(hits, about, pairs, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    hits: pd.DataFrame, about: dict[str, Any], pairs: int, resamples: int, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """One outcome's share for every pair, and for their average where no pair is missing."""
    by_pair = {
        pair: resample(part, "hit", resamples, rng) for pair, part in hits.groupby(PAIR, sort=False)
    }
    if len(by_pair) == pairs:
        by_pair["average", "average"] = average(list(by_pair.values()))
    return [
        {**about, "prompted": prompted, "patched": patched, **_numbers(share)}
        for (prompted, patched), share in by_pair.items()
    ]


def _numbers(share: Resampled) -> dict[str, Any]:
    low, high = interval(share.means)
    return {
        "share": share.mean,
        "low": low,
        "high": high,
        "least": share.per_seed.min(),
        "greatest": share.per_seed.max(),
        "seeds": len(share.per_seed),
        "items": share.items,
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--conflicts", required=True, type=Path)
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = shares(read_conflicts(args.conflicts), args.resamples, args.seed)
    write_frame(args.out, table)
    log.info("%d shares", len(table))


if __name__ == "__main__":
    run_command(main)
