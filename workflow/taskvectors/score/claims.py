"""How each claim of the paper is measured on one model: the table ``reproduction``.

Every function takes a claim of ``resources/paper/claims.yaml`` and what is known of a model
(`Evidence`), and gives a `Found` per metric. What cannot be measured raises `NotMeasured`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from taskvectors.render.samples import DRAWN
from taskvectors.score.bootstrap import Accuracy, Answers
from taskvectors.score.layer import METRIC
from taskvectors.study.metrics import METRICS
from taskvectors.study.predictions import method_name, split_samples

Claim = dict[str, Any]
ITEMS, SEEDS, TASKS = "bootstrap over items", "least to greatest seed", "bootstrap over tasks"
APART = "wide: the ends of the two numbers' own intervals"
NONE = "none"


class NotMeasured(Exception):  # noqa: N818
    """Says why a claim has no number here."""


@dataclass(frozen=True)
class Found:
    """A measured quantity; ``interval`` says what ``low`` and ``high`` are.

    ``spread`` is the standard deviation over seeds; ``metric`` is empty where none applies.
    """

    value: float
    low: float
    high: float
    interval: str
    metric: str = ""
    spread: float = float("nan")
    items: float = float("nan")
    seeds: float = float("nan")


@dataclass(frozen=True)
class Evidence:
    """What is on disk of one model; ``tables`` are other items' data files by their names."""

    model: str
    paradigm: str
    answers: Answers
    phases: pd.DataFrame
    by_layer: pd.DataFrame
    layer: dict[str, Any]
    tables: dict[str, pd.DataFrame]
    resamples: int
    seed: int

    def table(self, item: str) -> pd.DataFrame:
        """Our rows of another item for this model, or rows that hold for every model."""
        if item not in self.tables:
            raise NotMeasured(f"{item} is not made in this experiment")
        table = self.tables[item]
        ours = table["source"] == "ours" if "source" in table else True
        return table[ours & table["model"].isin([self.model, "-"])]


def quantity(claim: Claim) -> str:
    """What is measured, in a few words."""
    if claim["measure"] in ("difference", "spread"):
        of = "seeds' spread of " if claim["measure"] == "spread" else ""
        right = claim["right"]
        others = right if isinstance(right, str) else ", ".join(right)
        best = "the best of " if "," in others else ""
        return f"{of}{claim['left']} less {best}{others}, {claim['query']} queries"
    if claim["measure"] == "table":
        left, right = (
            " ".join(claim[side].values()) if side in claim else "" for side in ("left", "right")
        )
        less = claim.get("less", right)
        return f"{claim['item']}, {claim['column']} of {left} less {less}"
    return QUANTITIES[claim["measure"]]


QUANTITIES = {
    "phase_order": "share of tasks whose phases peak in this order",
    "phase_likeness": "correlation between text and image ICL",
    "same_top": "share of these tasks with one word as likeliest token of both",
    "noise": "share of non-words, image ICL less text ICL",
    "by_task": "silhouette, by task less by specification",
    "mixing": "silhouette by specification, first layer less near the chosen",
    "depth": "chosen layer as a share of all",
    "plateau": "late accuracy as a share of the best, these tasks less the others",
    "none": "",
}
# Shares and correlations are printed without a sign, differences with one.
UNSIGNED = ("phase_order", "phase_likeness", "same_top", "depth")


def difference(claim: Claim, evidence: Evidence) -> list[Found]:
    """Accuracy of one method less that of the best of others, on the same items.

    The best is found anew in each resample, so that the interval holds the choice as well.
    """
    found = []
    for metric in (DRAWN, "strict") if "samples" in claim else METRICS:
        left = _accuracy(claim["left"], claim, evidence, metric)
        others = [_accuracy(name, claim, evidence, metric) for name in _takes(claim, evidence)]
        best = max(others, key=lambda other: other.mean)
        rest = np.max([other.resampled.mean(axis=0) for other in others], axis=0)
        low, high = np.percentile(left.resampled.mean(axis=0) - rest, [2.5, 97.5])
        by_seed = left.per_seed - best.per_seed
        about = {"metric": metric, "items": left.items, "seeds": len(by_seed)}
        spread = float(by_seed.std()) if len(by_seed) > 1 else float("nan")
        found.append(Found(left.mean - best.mean, low, high, ITEMS, spread=spread, **about))
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
    for metric in (DRAWN, "strict"):
        sides = [_accuracy(claim[side], claim, evidence, metric) for side in ("left", "right")]
        if any(len(side.per_seed) < 2 for side in sides):
            raise NotMeasured("a spread needs at least two seeds")
        left, right = (side.resampled.std(axis=0) for side in sides)
        low, high = np.percentile(left - right, [2.5, 97.5])
        value = float(sides[0].per_seed.std() - sides[1].per_seed.std())
        about = {"metric": metric, "items": sides[0].items, "seeds": len(sides[0].per_seed)}
        found.append(Found(value, low, high, ITEMS, **about))
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


def phase_order(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of (task, specification) whose phases peak in the order input, task, answer."""
    peaks = (
        _icl_phases(evidence)
        .sort_values("layer")
        .groupby(["seed", "task", "specification", "phase"])
        .apply(lambda part: part.loc[part["probability"].idxmax(), "layer"], include_groups=False)
        .unstack("phase")
    )
    ordered = (peaks["input"] < peaks["task"]) & (peaks["task"] < peaks["answer"])
    return [_over_seeds(ordered.groupby("seed").mean())]


def phase_likeness(claim: Claim, evidence: Evidence) -> list[Found]:
    """Correlation, over layers and phases, of text and image ICL, averaged over tasks."""
    keys = ["seed", "task", "phase", "layer"]
    wide = _icl_phases(evidence).pivot_table("probability", keys, "specification")
    if not {"text_icl", "image_icl"} <= set(wide.columns):
        raise NotMeasured("the model does not take both specifications")
    alike = wide.groupby(["seed", "task"]).apply(
        lambda part: part["text_icl"].corr(part["image_icl"])
    )
    return [_over_seeds(alike.groupby("seed").mean())]


def _icl_phases(evidence: Evidence) -> pd.DataFrame:
    phases = evidence.phases
    return phases[phases["specification"] != "instruction"].reset_index(drop=True)


def _over_seeds(by_seed: pd.Series) -> Found:
    values = by_seed.to_numpy(dtype=float)
    spread = float(values.std()) if len(values) > 1 else float("nan")
    mean = float(values.mean())
    return Found(mean, values.min(), values.max(), SEEDS, spread=spread, seeds=len(values))


def same_top(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of the claim's tasks whose text and image vectors have one word as likeliest token."""
    share = same_top_share(evidence.table("table_2"), claim["tasks"])
    return [Found(share, share, share, NONE)]


def same_top_share(decodings: pd.DataFrame, tasks: list[str]) -> float:
    """The same of one model's rows of Table 2, without regard to outer space.

    A token that is no word, such as a bare space, sums no task up and does not count.
    """
    tops = decodings[(decodings["rank"] == 1) & decodings["task"].isin(tasks)]
    wide = tops.assign(token=tops["token"].str.strip()).pivot(
        index="task", columns="specification", values=["token", "word"]
    )
    _need_both(wide["token"])
    same = wide["token", "text_icl"] == wide["token", "image_icl"]
    return float((same & wide["word", "text_icl"].astype(bool)).mean())


def noise(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of decodings that are no words, image ICL less text ICL; tasks are resampled."""
    by_task = noise_by_task(evidence.table("table_2")).to_numpy()
    rng = np.random.default_rng(evidence.seed)
    drawn = rng.integers(0, len(by_task), size=(evidence.resamples, len(by_task)))
    low, high = np.percentile(by_task[drawn].mean(axis=1), [2.5, 97.5])
    return [Found(float(by_task.mean()), low, high, TASKS)]


def noise_by_task(decodings: pd.DataFrame) -> pd.Series:
    """The same for each task of one model's rows of Table 2."""
    wide = 1.0 - decodings.pivot_table("word", "task", "specification", aggfunc="mean")
    _need_both(wide)
    return wide["image_icl"] - wide["text_icl"]


def _need_both(wide: pd.DataFrame) -> None:
    if not {"text_icl", "image_icl"} <= set(wide.columns) or wide.empty:
        raise NotMeasured("the model does not take both specifications, or not these tasks")


def by_task(claim: Claim, evidence: Evidence) -> list[Found]:
    """Silhouette by task less silhouette by specification, nearest the chosen layer."""
    here = _silhouettes(evidence).iloc[1]
    return [_alone(here["silhouette_task"] - here["silhouette_specification"])]


def mixing(claim: Claim, evidence: Evidence) -> list[Found]:
    """Silhouette by specification in the first layer less that nearest the chosen layer."""
    first, chosen = _silhouettes(evidence)["silhouette_specification"]
    return [_alone(first - chosen)]


def _silhouettes(evidence: Evidence) -> pd.DataFrame:
    """The silhouettes in the first layer, and in the drawn layer nearest the chosen one."""
    names = ["silhouette_task", "silhouette_specification"]
    drawn = evidence.table("figure_tsne").groupby("layer")[names].first().sort_index()
    nearest = min(drawn.index, key=lambda layer: abs(layer - evidence.layer["layer"]))
    return drawn.loc[[drawn.index[0], nearest]]


def _alone(value: float) -> Found:
    if np.isnan(value):
        raise NotMeasured("there is only one specification or one task")
    return Found(float(value), float(value), float(value), NONE)


def depth(claim: Claim, evidence: Evidence) -> list[Found]:
    """The chosen layer as a share of the layers, and how it would fall by single seeds."""
    if evidence.paradigm != claim["paradigm"]:
        raise NotMeasured(f"the model is {evidence.paradigm}")
    layers = evidence.layer["layers"]
    average = _validation(evidence).groupby(["seed", "layer"])["accuracy"].mean()
    by_seed = average.groupby("seed").idxmax().map(lambda pair: pair[1]) / layers
    value = evidence.layer["layer"] / layers
    spread = float(by_seed.std(ddof=0)) if len(by_seed) > 1 else float("nan")
    low, high = min(value, by_seed.min()), max(value, by_seed.max())
    return [Found(value, low, high, SEEDS, METRIC, spread, seeds=len(by_seed))]


def plateau(claim: Claim, evidence: Evidence) -> list[Found]:
    """What the last quarter of the layers keeps of the best layer, some tasks less the others."""
    curves = _validation(evidence).set_index(["seed", "task", "layer"])["accuracy"].unstack()
    best = curves.max(axis=1)
    late = curves.loc[:, curves.columns >= 0.75 * evidence.layer["layers"]].mean(axis=1)
    kept = (late / best)[best > 0].rename("kept").reset_index()
    flat = kept["task"].isin(claim["tasks"])
    parts = [kept[chosen].groupby("seed")["kept"].mean() for chosen in (flat, ~flat)]
    by_seed = (parts[0] - parts[1]).dropna()
    if by_seed.empty:
        raise NotMeasured("no layer answers both kinds of tasks, or one kind is not configured")
    found = _over_seeds(by_seed)
    return [
        Found(found.value, found.low, found.high, SEEDS, METRIC, found.spread, seeds=found.seeds)
    ]


def _validation(evidence: Evidence) -> pd.DataFrame:
    """Validation accuracies by layer of the method that chose the layer."""
    table = evidence.by_layer
    chosen = (table["method"] == evidence.layer["method"]) & (table["metric"] == METRIC)
    return table[chosen & table["layer"].notna()]


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
    other = claim.get("right", claim["left"]), claim.get("less", claim["column"])
    right, right_low, right_high = _number(rows, claim, *other)
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


MEASURES: dict[str, Callable[[Claim, Evidence], list[Found]]] = {
    measure.__name__: measure
    for measure in (
        difference,
        spread,
        phase_order,
        phase_likeness,
        same_top,
        noise,
        by_task,
        mixing,
        depth,
        plateau,
        table,
        none,
    )
}
