"""Claims about layers and vectors: phases, decodings, silhouettes, where patching does best."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from taskvectors.score.answers import by_seed_and_item
from taskvectors.score.bootstrap import EXEMPLAR_SETS, ITEMS, TASKS
from taskvectors.score.evidence import Claim, Evidence, Found, NotMeasured
from taskvectors.score.evolution import phase_correlations
from taskvectors.score.layer import METRIC
from taskvectors.study.tables import DIFFERENT_TASKS, SAME_TASK


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
    return [_over_tasks(ordered.groupby(["task", "seed"]).mean(), evidence)]


def phase_likeness(claim: Claim, evidence: Evidence) -> list[Found]:
    """Correlation, over layers and phases, of text and image ICL, averaged over seeds and tasks."""
    alike = phase_correlations(evidence.phases)
    if alike.empty:
        raise NotMeasured("the model does not take both specifications")
    return [_over_tasks(alike, evidence)]


def _icl_phases(evidence: Evidence) -> pd.DataFrame:
    phases = evidence.phases
    return phases[phases["specification"] != "instruction"].reset_index(drop=True)


def _over_tasks(values: pd.Series, evidence: Evidence) -> Found:
    """The mean of values by (task, seed), or by task alone; tasks are drawn again."""
    by_task = values.groupby("task").mean()
    draws = evidence.bootstrap.weights(by_task.index) @ by_task.to_numpy(dtype=float)
    by_seed = values.groupby("seed").mean() if "seed" in values.index.names else pd.Series()
    spread = float(by_seed.std(ddof=0)) if len(by_seed) > 1 else float("nan")
    seeds = len(by_seed) or float("nan")
    return Found(float(by_task.mean()), draws, TASKS, spread=spread, seeds=seeds)


def same_top(claim: Claim, evidence: Evidence) -> list[Found]:
    """Share of the claim's tasks whose text and image vectors have one word as likeliest token."""
    return [Found(same_top_share(evidence.decodings, claim["tasks"]))]


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
    """Share of decodings that are no words, image ICL less text ICL."""
    return [_over_tasks(noise_by_task(evidence.decodings), evidence)]


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
    _, here = _silhouettes(evidence)
    own = here["own_silhouette_task"] - here["own_silhouette_specification"]
    return [_over_sets(own, evidence)]


def mixing(claim: Claim, evidence: Evidence) -> list[Found]:
    """Silhouette by specification in the first layer less that nearest the chosen layer."""
    first, chosen = (layer["own_silhouette_specification"] for layer in _silhouettes(evidence))
    return [_over_sets(first - chosen, evidence)]


def _silhouettes(evidence: Evidence) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The exemplar sets' silhouettes in the first layer, and in the drawn layer nearest the
    chosen one."""
    sets = evidence.places[evidence.places["specification"] != "instruction"]
    drawn = sets.set_index(["task", "specification", "seed", "set"])
    layers = sorted(set(drawn["layer"]))
    nearest = min(layers, key=lambda layer: abs(layer - evidence.layer["layer"]))
    return drawn[drawn["layer"] == layers[0]], drawn[drawn["layer"] == nearest]


def _over_sets(values: pd.Series, evidence: Evidence) -> Found:
    """The mean over exemplar sets, which are drawn again beside the others as they lie."""
    if values.isna().any():
        raise NotMeasured("there is only one specification or one task")
    names = ["/".join(map(str, key)) for key in values.index]
    draws = evidence.bootstrap.weights(names) @ values.to_numpy(dtype=float)
    return Found(float(values.mean()), draws, EXEMPLAR_SETS)


def similarity(claim: Claim, evidence: Evidence) -> list[Found]:
    """Cosine similarity of the vectors that a VLM and its language model have of a task, less
    that of the VLM's vectors of different tasks."""
    if evidence.similarity is None:
        raise NotMeasured("the model has no language model beside it")
    wide = evidence.similarity.pivot(index="task", columns="pairs", values="cosine_similarity")
    if wide[DIFFERENT_TASKS].isna().any():
        raise NotMeasured("there is only one task")
    return [_over_tasks(wide[SAME_TASK] - wide[DIFFERENT_TASKS], evidence)]


def depth(claim: Claim, evidence: Evidence) -> list[Found]:
    """The chosen layer as a share of the layers; validation items are drawn again, and each draw
    chooses its own layer."""
    if evidence.paradigm != claim["paradigm"]:
        raise NotMeasured(f"the model is {evidence.paradigm}")
    layers = evidence.layer["layers"]
    drawn = np.mean([drawn for _, drawn in _curves(evidence).values()], axis=0)
    by_seed = evidence.validation.groupby(["seed", "task", "layer"])[METRIC].mean()
    chosen = by_seed.groupby(["seed", "layer"]).mean().groupby("seed").idxmax()
    shares = chosen.map(lambda pair: pair[1]) / layers
    spread = float(shares.std(ddof=0)) if len(shares) > 1 else float("nan")
    value, draws = evidence.layer["layer"] / layers, drawn.argmax(axis=1) / layers
    return [Found(value, draws, ITEMS, METRIC, spread, seeds=len(shares))]


def plateau(claim: Claim, evidence: Evidence) -> list[Found]:
    """What the last quarter of the layers keeps of the best layer, some tasks less the others;
    a draw leaves out the tasks that no layer answers in it."""
    late = np.arange(evidence.layer["layers"]) >= 0.75 * evidence.layer["layers"]
    kept = {
        task: (_kept(curve, late), _kept(drawn, late))
        for task, (curve, drawn) in _curves(evidence).items()
        if curve.max() > 0
    }
    flat = [kept[task] for task in kept if task in claim["tasks"]]
    sharp = [kept[task] for task in kept if task not in claim["tasks"]]
    if not flat or not sharp:
        raise NotMeasured("no layer answers both kinds of tasks, or one kind is not configured")
    value = np.mean([share for share, _ in flat]) - np.mean([share for share, _ in sharp])
    draws = _mean_of_known(flat) - _mean_of_known(sharp)
    return [Found(float(value), draws, ITEMS, METRIC)]


def _mean_of_known(kept: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """(resamples,): the mean over the tasks that some layer answers in a draw."""
    return pd.DataFrame([drawn for _, drawn in kept]).mean().to_numpy()


def _kept(curves: np.ndarray, late: np.ndarray) -> np.ndarray:
    """The mean of the late layers as a share of the best; missing where no layer is ever right."""
    best = curves.max(axis=-1)
    means = curves[..., late].mean(axis=-1)
    return np.divide(means, best, out=np.full_like(best, np.nan), where=best > 0)


def _curves(evidence: Evidence) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """By task, validation accuracy at each layer (layers,), and for items drawn again
    (resamples, layers)."""
    curves = {}
    for task, answers in evidence.validation.groupby("task", sort=False):
        by_layer = answers.assign(seed=answers["layer"], right=answers[METRIC].astype(float))
        means = by_layer.groupby(["seed", "entity"], as_index=False)["right"].mean()
        table = by_seed_and_item(means, "right")
        weights = evidence.bootstrap.weights(table.columns)
        curves[str(task)] = table.mean(axis=1).to_numpy(), weights @ table.to_numpy().T
    return curves
