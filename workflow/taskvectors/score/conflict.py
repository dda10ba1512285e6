"""``python -m taskvectors.score.conflict``: who wins where prompt and patch ask different tasks.

An answer's outcome is one of four: ``patch`` or ``prompt`` where it is right for that task
alone, ``both`` where it is right for both (their labels begin alike, or the first token is a
prefix of both), ``neither``.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import write_text
from taskvectors.score.accuracy import bootstrap_means
from taskvectors.study.conflicts import read_conflicts
from taskvectors.study.metrics import METRICS, mark

log = logging.getLogger("taskvectors")
OUTCOMES = ("patch", "prompt", "both", "neither")
UNPATCHED = "unpatched"
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
    return mark(columns)[list(METRICS)]


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
            marked = group.assign(outcome=outcomes(group, metric))
            for outcome in OUTCOMES:
                about = {
                    "specification": specification,
                    "query_modality": modality,
                    "metric": metric,
                    "outcome": outcome,
                }
                found = marked.assign(hit=marked["outcome"] == outcome)
                rows += _rows(found, about, pairs, resamples, rng)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    found: pd.DataFrame, about: dict, pairs: int, resamples: int, rng: np.random.Generator
) -> list[dict]:
    """One outcome's share for every pair, and for their average where no pair is missing."""
    rows, means, resampled, seeds, items = [], [], [], [], 0
    for (prompted, patched), part in found.groupby(PAIR, sort=False):
        hits = part.groupby("entity")["hit"].mean().to_numpy(dtype=float)
        means.append(hits.mean())
        resampled.append(bootstrap_means(hits, resamples, rng))
        seeds.append(part.groupby("seed", dropna=False)["hit"].mean())
        items += len(hits)
        pair = {**about, "prompted": prompted, "patched": patched}
        rows.append({**pair, **_summary(means[-1], resampled[-1], seeds[-1], len(hits))})
    if len(means) == pairs:
        average = {**about, "prompted": "average", "patched": "average"}
        per_seed = pd.concat(seeds, axis=1).mean(axis=1)
        boot = np.mean(resampled, axis=0)
        rows.append({**average, **_summary(float(np.mean(means)), boot, per_seed, items)})
    return rows


def _summary(share: float, resampled: np.ndarray, per_seed: pd.Series, items: int) -> dict:
    low, high = np.percentile(resampled, [2.5, 97.5])
    seeded = per_seed[per_seed.index.notna()]
    return {
        "share": share,
        "low": low,
        "high": high,
        "least": seeded.min() if len(seeded) else np.nan,
        "greatest": seeded.max() if len(seeded) else np.nan,
        "seeds": len(seeded),
        "items": items,
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--conflicts", required=True, type=Path)
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = shares(read_conflicts(args.conflicts), args.resamples, args.seed)
    write_text(args.out, table.to_csv(index=False, lineterminator="\n"))
    log.info("%d shares", len(table))


if __name__ == "__main__":
    run_command(main)
