"""``python -m taskvectors.score.conflict``: who wins where prompt and patch ask different tasks.

An answer's outcome is one of four: ``patch`` or ``prompt`` where it is right for that task
alone, ``both`` where it is right for both (their labels begin alike, or the first token is a
prefix of both), ``neither``.
"""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.answers import by_seed_and_item
from taskvectors.score.bootstrap import Bootstrap, Estimate, average, estimate
from taskvectors.study.conflicts import read_conflicts
from taskvectors.study.metrics import METRICS, judged
from taskvectors.study.tables import OUTCOMES, UNPATCHED

log = logging.getLogger("taskvectors")
PAIR = ["prompted", "patched"]
AVERAGE = ("average", "average")
COLUMNS = [
    *PAIR, "specification", "query_modality", "metric", "outcome",
    "share", "low", "high", "interval", "items_low", "items_high", "least", "greatest",
    "seeds", "items",
]  # fmt: skip


def right_for(answers: pd.DataFrame, which: str) -> pd.DataFrame:
    """A column per metric: whether the answers are right for the task ``which``
    (``prompted`` or ``patched``)."""
    names = {f"{which}_label": "label", f"{which}_label_token_ids": "label_token_ids"}
    columns = answers[["token", "token_ids", *names]].rename(columns=names)
    return judged(columns)[list(METRICS)]


def outcome_of(prompt: bool, patch: bool) -> str:
    """Whom an answer follows that is right, or not, for what the prompt and the patch ask."""
    if prompt and patch:
        return "both"
    if patch:
        return "patch"
    return "prompt" if prompt else "neither"


def outcomes(answers: pd.DataFrame, metric: str) -> pd.Series:
    """The outcome of every answer by one metric."""
    prompt = right_for(answers, "prompted")[metric]
    patch = right_for(answers, "patched")[metric]
    chosen = [outcome_of(*right) for right in zip(prompt, patch, strict=True)]
    return pd.Series(chosen, index=answers.index, name="outcome")


def shares(answers: pd.DataFrame, bootstrap: Bootstrap) -> pd.DataFrame:
    """The share of every outcome per pair of tasks, specification and metric, and the average
    over pairs (``prompted`` and ``patched`` are then "average").

    An item's share is its mean over seeds. ``low`` and ``high`` bound the 95 % interval of the
    kind ``interval``, ``items_low`` and ``items_high`` that over items alone; ``least`` and
    ``greatest`` are the range of the seeds' own shares, which is no interval.
    """
    rows = []
    for keys, metric, outcome, by_pair in outcome_estimates(answers, bootstrap):
        specification, modality = keys
        about = {
            "specification": specification,
            "query_modality": modality,
            "metric": metric,
            "outcome": outcome,
        }
        rows += [
            {**about, "prompted": prompted, "patched": patched, **_numbers(share)}
            for (prompted, patched), share in by_pair.items()
        ]
    return pd.DataFrame(rows, columns=COLUMNS)


def outcome_estimates(
    answers: pd.DataFrame, bootstrap: Bootstrap
) -> Iterator[tuple[tuple[str, str], str, str, dict[tuple[str, str], Estimate]]]:
    """(specification, query modality), metric, outcome, and its share by pair of tasks; with
    their average where no pair is missing."""
    named = answers.assign(specification=answers["specification"].fillna(UNPATCHED))
    pairs = named.groupby(PAIR, sort=False).ngroups
    for keys, group in named.groupby(["specification", "query_modality"], sort=False):
        for metric in METRICS:
            found = outcomes(group, metric)
            for outcome in OUTCOMES:
                hits = group.assign(hit=found == outcome)
                by_pair = {
                    pair: estimate(by_seed_and_item(part, "hit"), bootstrap)
                    for pair, part in hits.groupby(PAIR, sort=False)
                }
                if len(by_pair) == pairs:
                    by_pair[AVERAGE] = average(list(by_pair.values()))
                yield keys, metric, outcome, by_pair


def _numbers(share: Estimate) -> dict[str, Any]:
    seeded = share.per_seed if share.seeds else np.array([np.nan])
    return {
        "share": share.mean,
        **share.intervals(),
        "least": seeded.min(),
        "greatest": seeded.max(),
        "seeds": share.seeds,
        "items": share.items,
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--conflicts", required=True, type=Path)
    parser.add_argument("--resamples", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = shares(read_conflicts(args.conflicts), Bootstrap(args.resamples, args.seed))
    write_frame(args.out, table)
    log.info("%d shares", len(table))


if __name__ == "__main__":
    run_command(main)
