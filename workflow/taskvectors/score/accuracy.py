"""``python -m taskvectors.score.accuracy``: test accuracies, and what they are worth.

Beside every accuracy stands what one constant answer would earn, and whether the answers depend
on the query at all (`taskvectors.score.dependence`).
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.answers import Answers, read_answers
from taskvectors.score.bootstrap import Bootstrap, Estimate, average, interval
from taskvectors.score.dependence import Dependence, average_dependence, dependence
from taskvectors.study.constant import CONSTANT
from taskvectors.study.first_tokens import count_first_tokens
from taskvectors.study.metrics import METRICS

log = logging.getLogger("taskvectors")
COLUMNS = [
    "method", "query_modality", "metric", "task",
    "accuracy", "low", "high", "interval", "items_low", "items_high", "spread", "seeds", "items",
    "constant", "excess", "excess_low", "excess_high",
    "distinct", "commonest", "shuffled", "shuffled_p", "answers", "forced",
    "labels", "shared", "unshown", "alike", "alike_items",
]  # fmt: skip

# Counts of how a task's labels begin, as in `FirstTokens`.
BEGUN = ("labels", "shared", "unshown", "alike")


def score(answers: Answers) -> pd.DataFrame:
    """Accuracy per method, query modality, metric and task, and the average over tasks.

    An item's accuracy is its mean over seeds. ``low`` and ``high`` bound the 95 % interval of the
    kind ``interval``, ``items_low`` and ``items_high`` that over items alone; ``spread`` is the
    standard deviation over seeds. ``excess`` is the accuracy above the baseline ``constant``, on
    the same items; ``distinct``, ``commonest``, ``shuffled`` and ``shuffled_p`` are as in
    `Dependence`. ``answers`` is how many a task has, over items and seeds, and ``forced`` to how
    many of them the prompt was cut at a delimiter (`taskvectors.models.boundary`). How a task's
    ``labels`` begin is as in `FirstTokens`; ``alike_items`` is its share. A method that lacks a
    task has no average, and a baseline without tokens no dependence and no prompts.
    """
    rows = []
    for method, query in answers.asked():
        for metric in METRICS:
            about = {"method": method, "query_modality": query, "metric": metric}
            for task, found in _by_task(answers, method, query, metric).items():
                rows.append({**about, "task": task, **found})
    counts = dict.fromkeys(("answers", "forced", *BEGUN), "Int64")
    return pd.DataFrame(rows, columns=COLUMNS).astype(counts)


def _by_task(answers: Answers, method: str, query: str, metric: str) -> dict[str, dict[str, Any]]:
    """Every task that was asked, and the average where all of them were, to its numbers."""
    shares, constants, dependences, prompts = {}, {}, {}, {}
    for task in answers.tasks:
        part = answers.part(method, query, task)
        share = answers.estimate(method, query, metric, task)
        if part is None or share is None:
            continue
        shares[task] = share
        constants[task] = answers.estimate(CONSTANT, "any", metric, task)
        dependences[task] = dependence(part, answers.entities[task], metric, answers.bootstrap)
        prompts[task] = _prompts(part)
    if len(shares) == len(answers.tasks):
        known = [constant for constant in constants.values() if constant]
        told = [found for found in dependences.values() if found]
        shares["average"] = average(list(shares.values()))
        constants["average"] = average(known) if len(known) == len(answers.tasks) else None
        whole = len(told) == len(answers.tasks)
        dependences["average"] = average_dependence(told) if whole else None
        prompts["average"] = {}
    return {
        task: {
            **_numbers(share, constants[task]),
            **_dependence_numbers(dependences[task]),
            **prompts[task],
        }
        for task, share in shares.items()
    }


def _numbers(share: Estimate, constant: Estimate | None) -> dict[str, Any]:
    numbers = {
        "accuracy": share.mean,
        **share.intervals(),
        "spread": share.spread,
        "seeds": share.seeds,
        "items": share.items,
    }
    if constant is None:
        return numbers
    excess = share.less(constant)
    low, high = interval(excess.deciding[0])
    above = {"excess": excess.mean, "excess_low": low, "excess_high": high}
    return {**numbers, "constant": constant.mean, **above}


def _dependence_numbers(found: Dependence | None) -> dict[str, float]:
    if found is None:
        return {}
    return {
        "distinct": found.distinct,
        "commonest": found.commonest,
        "shuffled": found.expected,
        "shuffled_p": found.p_value,
    }


def _prompts(part: pd.DataFrame) -> dict[str, float]:
    forced = part.get("forced_boundary")
    if forced is None or forced.isna().any():  # a baseline that asks no model
        return {}
    items = part.drop_duplicates("entity")
    begun = count_first_tokens(items["label"], items["label_token_ids"].str.split())
    counts = {name: getattr(begun, name) for name in BEGUN}
    asked = {"answers": len(forced), "forced": int(forced.sum())}
    return {**asked, **counts, "alike_items": begun.share}


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+")
    parser.add_argument(
        "--validation",
        type=Path,
        nargs="*",
        default=[],
        help="more predictions, whose validation items choose the baseline constant",
    )
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
    test = read_answers(args.predictions, args.datasets, args.validation)
    table = score(Answers(test, args.tasks, Bootstrap(args.resamples, args.seed)))
    write_frame(args.out, table)
    log.info("%d accuracies", len(table))


if __name__ == "__main__":
    run_command(main)
