"""Claims about accuracies: differences and spreads of methods, and rows of tables."""

import numpy as np
import pandas as pd

from taskvectors.score.bootstrap import Accuracy, Answers, interval
from taskvectors.score.evidence import APART, ITEMS, NONE, Claim, Evidence, Found, NotMeasured
from taskvectors.study.metrics import CASELESS, METRICS
from taskvectors.study.predictions import method_name
from taskvectors.study.vectors import split_samples


def difference(claim: Claim, evidence: Evidence) -> list[Found]:
    """Accuracy of one method less that of the best of others, on the same items.

    The best is found anew in each resample, so that the interval holds the choice as well.
    """
    found = []
    for metric in (CASELESS, "strict") if "samples" in claim else METRICS:
        left = _accuracy(claim["left"], claim, evidence, metric)
        others = [_accuracy(name, claim, evidence, metric) for name in _takes(claim, evidence)]
        best = max(others, key=lambda other: other.mean)
        rest = np.max([other.resampled.mean(axis=0) for other in others], axis=0)
        low, high = interval(left.resampled.mean(axis=0) - rest)
        by_seed = left.per_seed - best.per_seed
        spread = float(by_seed.std()) if len(by_seed) > 1 else float("nan")
        value, seeds = left.mean - best.mean, len(by_seed)
        found.append(Found(value, low, high, ITEMS, metric, spread, left.items, seeds))
    return found


def _takes(claim: Claim, evidence: Evidence) -> list[str]:
    """The methods on the claim's right that the model can take at all."""
    images = any(method.startswith("image_icl") for method in evidence.answers.methods())
    names = [name for name in claim["right"] if images or not name.startswith("image_icl")]
    if not names:
        raise NotMeasured("the model takes no image ICL")
    return names


def spread(claim: Claim, evidence: Evidence) -> list[Found]:
    """Standard deviation over seeds of one method less that of another."""
    found = []
    for metric in (CASELESS, "strict"):
        sides = [_accuracy(claim[side], claim, evidence, metric) for side in ("left", "right")]
        if any(len(side.per_seed) < 2 for side in sides):
            raise NotMeasured("a spread needs at least two seeds")
        left, right = (side.resampled.std(axis=0) for side in sides)
        low, high = interval(left - right)
        value = float(sides[0].per_seed.std() - sides[1].per_seed.std())
        items, seeds = sides[0].items, len(sides[0].per_seed)
        found.append(Found(value, low, high, ITEMS, metric, items=items, seeds=seeds))
    return found


def _accuracy(name: str, claim: Claim, evidence: Evidence, metric: str) -> Accuracy:
    """A method's accuracy; a specification's vectors of the fewest samples where asked."""
    method = name
    if claim.get("samples") == "fewest" or claim["measure"] == "spread":
        method = _fewest(name, claim["query"], evidence.answers)
    found = evidence.answers.accuracy(method, claim["query"], metric)
    if found is None:
        raise NotMeasured(f"{method} was not asked of every task")
    return found


def _fewest(specification: str, query: str, answers: Answers) -> str:
    if specification == "instruction":
        return method_name(specification, query, "patch")
    parts = [method.rsplit("_", 1)[0] for method in answers.methods()]
    counts = [n for name, n in map(split_samples, parts) if name == specification and n]
    if not counts:
        raise NotMeasured(f"no vectors of few samples of {specification}")
    return method_name(f"{specification}_n{min(counts)}", query, "patch")


def table(claim: Claim, evidence: Evidence) -> list[Found]:
    """A number of another item's table, less one of another row or column.

    One for each metric, unless the claim names the metric's rows.
    """
    rows = evidence.table(claim["item"])
    if "metric" in claim["left"]:
        return [_subtracted(rows, claim, "")]
    return [_subtracted(rows[rows["metric"] == metric], claim, metric) for metric in METRICS]


def _subtracted(rows: pd.DataFrame, claim: Claim, metric: str) -> Found:
    """The difference of two numbers, with the sum of their own intervals' halves about it."""
    left, left_low, left_high = _number(rows, claim, claim["left"], claim["column"])
    other = {"right": claim["left"], "less": claim["column"], **claim}
    right, right_low, right_high = _number(rows, claim, other["right"], other["less"])
    value = left - right
    if np.isnan(left_low) or np.isnan(right_low):
        return Found(value, value, value, NONE, metric)
    return Found(value, left_low - right_high, left_high - right_low, APART, metric)


def _number(
    rows: pd.DataFrame, claim: Claim, wanted: dict[str, str], column: str
) -> tuple[float, float, float]:
    """A number of the one row that is ``wanted``, and its interval, missing where it has none."""
    for name, value in wanted.items():
        if name not in rows:
            raise NotMeasured(f"{claim['item']} has no column {name}")
        rows = rows[rows[name] == value]
    if len(rows) != 1 or pd.isna(rows[column].iloc[0]):
        raise NotMeasured(f"{claim['item']} has no number for {', '.join(wanted.values())}")
    row = rows.iloc[0]
    bounds = ("low", "high") if column == "average" else (f"{column}_low", f"{column}_high")
    low, high = (float(row.get(name, np.nan)) for name in bounds)
    return float(row[column]), low, high


def none(claim: Claim, evidence: Evidence) -> list[Found]:
    """A claim that the project has no measure for."""
    raise NotMeasured(claim["why"])
