"""Claims about layers: phases, decodings, silhouettes and where patching does best."""

from dataclasses import replace

import numpy as np
import pandas as pd

from taskvectors.score.bootstrap import bootstrap_means, interval
from taskvectors.score.evidence import NONE, SEEDS, TASKS, Claim, Evidence, Found, NotMeasured
from taskvectors.score.layer import METRIC


def phase_order(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of (task, specification) whose phases peak in the order input, task, answer."""
    peaks = (
        _icl_phases(evidence)
        .sort_values("layer")
        .groupby(["seed", "task", "specification", "phase"])
        .apply(lambda part: part.loc[part["probability"].idxmax(), "layer"])
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
    share = same_top_share(evidence.decodings, claim["tasks"])
    return [Found(share, share, share, NONE)]


def same_top_share(decodings: pd.DataFrame, tasks: list[str]) -> float:
    """The same of one model's rows of Table 2, without regard to outer space.

    A token that is no word, such as a bare space, sums no task up and does not count.
    """
    tops = decodings[(decodings["rank"] == 1) & decodings["task"].isin(tasks)]
    _need_both(tops)
    wide = tops.assign(token=tops["token"].str.strip()).pivot(
        index="task", columns="specification", values=["token", "word"]
    )
    same = wide["token", "text_icl"] == wide["token", "image_icl"]
    return float((same & wide["word", "text_icl"].astype(bool)).mean())


def noise(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of decodings that are no words, image ICL less text ICL; tasks are resampled."""
    by_task = noise_by_task(evidence.decodings).to_numpy()
    rng = np.random.default_rng(evidence.seed)
    low, high = interval(bootstrap_means(by_task, evidence.resamples, rng))
    return [Found(float(by_task.mean()), low, high, TASKS)]


def noise_by_task(decodings: pd.DataFrame) -> pd.Series:
    """The same for each task of one model's rows of Table 2."""
    _need_both(decodings)
    wide = 1.0 - decodings.pivot_table("word", "task", "specification", aggfunc="mean")
    return wide["image_icl"] - wide["text_icl"]


def _need_both(rows: pd.DataFrame) -> None:
    if not {"text_icl", "image_icl"} <= set(rows["specification"]):
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
    drawn = evidence.places.groupby("layer")[names].first().sort_index()
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
    return [replace(_over_seeds(by_seed), metric=METRIC)]


def _validation(evidence: Evidence) -> pd.DataFrame:
    """Validation accuracies by layer of the method that chose the layer."""
    table = evidence.by_layer
    chosen = (table["method"] == evidence.layer["method"]) & (table["metric"] == METRIC)
    return table[chosen & table["layer"].notna()]
