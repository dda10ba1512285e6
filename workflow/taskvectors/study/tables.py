"""The rows of our tables, arranged from scores: what is shown and what claims are measured on."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from taskvectors.study.metrics import METRICS

Row = dict[str, Any]

TABLE_6 = ("no_context", "image_icl_base", "text_icl_xbase", "text_icl_xpatch")
# query modality, the method that `taskvectors.write` names so, and its ending in Table 7
TABLE_7 = (("image", "text_icl_xpatch", "xpatch"), ("text", "text_icl_patch", "patch"))
DESCRIPTIONS = ("no_context", "text_icl_base", "image_icl_xbase", "image_icl_xpatch")
SPECIFICATION_OF = {"text": "text_icl", "image": "image_icl"}
# Of an answer where prompt and patch ask different tasks; unpatched ones have no vector.
OUTCOMES = ("patch", "prompt", "both", "neither")
UNPATCHED = "unpatched"
# What stands beside an average: see `taskvectors.score.accuracy`.
INTERVAL = ("low", "high", "interval", "items_low", "items_high")
DEPENDENCE = ("distinct", "commonest", "shuffled", "shuffled_p")
BESIDE = (*INTERVAL, "constant", "excess", "excess_low", "excess_high", *DEPENDENCE)
SAME_TASK, DIFFERENT_TASKS = "same task", "different tasks"
_PAIR = ["model", "prompted", "patched", "specification", "query_modality", "metric"]


def accuracies(
    scores: pd.DataFrame, method: str, query_modality: str, metric: str, tasks: Sequence[str]
) -> Row:
    """One table row's numbers: task to accuracy, the average, and what stands beside it.

    ``not_above`` names those of them that do not lie above the baseline `constant` with their
    whole interval. ``scores`` are a model's by `taskvectors.score.accuracy`. What was not
    measured is missing (None), never zero.
    """
    mine = scores[
        (scores["method"] == method)
        & (scores["query_modality"] == query_modality)
        & (scores["metric"] == metric)
    ].set_index("task")
    row = {task: mine["accuracy"].get(task) for task in (*tasks, "average")}
    beside = {name: mine[name].get("average") for name in BESIDE}
    low = mine["excess_low"].reindex([*tasks, "average"])
    return {**row, **beside, "not_above": " ".join(low.index[low <= 0])}


def table_4_rows(
    model: str,
    own: pd.DataFrame,
    transferred: pd.DataFrame,
    similarity: pd.DataFrame,
    tasks: Sequence[str],
) -> list[Row]:
    """Similarity of a VLM's and its language model's vectors, and accuracy on image queries.

    ``own`` and ``transferred`` are the scores of their vectors; ``similarity`` is by
    `taskvectors.score.similarity`, its different tasks being the baseline (the paper's "random").
    """
    alike = similarity.groupby("pairs")["cosine_similarity"].mean()
    rows = []
    for metric in METRICS:
        for name, scores, method, modality, cosine in (
            ("random", own, "random", "any", alike[DIFFERENT_TASKS]),
            ("vlm_vlm_xpatch", own, "text_icl_xpatch", "image", None),
            ("llm_vlm_xpatch", transferred, "text_icl_xpatch", "image", alike[SAME_TASK]),
        ):
            found = accuracies(scores, method, modality, metric, tasks)
            numbers = {key: found[key] for key in ("average", *BESIDE)}
            numbers["not_above"] = "average" if "average" in found["not_above"].split() else ""
            named = {"model": model, "method": name, "metric": metric, "source": "ours"}
            rows.append({**named, "cosine_similarity": cosine, **numbers})
    return rows


def table_6_rows(model: str, scores: dict[str, pd.DataFrame], tasks: Sequence[str]) -> list[Row]:
    """Accuracy on image queries under each template; ``scores`` are by template."""
    rows = []
    for template, table in scores.items():
        for metric in METRICS:
            for method in TABLE_6:
                named = {"model": model, "template": template, "method": method}
                named |= {"metric": metric, "source": "ours"}
                rows.append({**named, **accuracies(table, method, "image", metric, tasks)})
    return rows


def table_7_rows(
    model: str, own: pd.DataFrame, transferred: pd.DataFrame, tasks: Sequence[str]
) -> list[Row]:
    """Accuracy by task of a VLM's own vectors and of its language model's."""
    rows = []
    for metric in METRICS:
        for modality, method, way in TABLE_7:
            for name, table in (("vlm_vlm", own), ("llm_vlm", transferred)):
                named = {"model": model, "method": f"{name}_{way}", "query_modality": modality}
                named |= {"metric": metric, "source": "ours"}
                rows.append({**named, **accuracies(table, method, modality, metric, tasks)})
    return rows


def description_rows(model: str, scores: pd.DataFrame, tasks: Sequence[str]) -> list[Row]:
    """Accuracy on dense descriptions, image ICL patched into text queries beside prompting."""
    return [
        {
            "model": model,
            "method": method,
            "metric": metric,
            **accuracies(scores, method, "text", metric, tasks),
        }
        for metric in METRICS
        for method in DESCRIPTIONS
    ]


def conflict_table(shares: pd.DataFrame) -> pd.DataFrame:
    """A row per model, pair, specification and metric: each outcome's share, with its 95 %
    interval and the seeds' least and greatest beside it."""
    beside = ["low", "high", "items_low", "items_high", "least", "greatest"]
    wide = shares.pivot(
        index=[*_PAIR, "interval", "items", "seeds"],
        columns="outcome",
        values=["share", *beside],
    )
    return shares[_PAIR].drop_duplicates().merge(outcome_columns(wide, beside), on=_PAIR)


def outcome_columns(wide: pd.DataFrame, beside: Sequence[str]) -> pd.DataFrame:
    """Each outcome's share, and what stands ``beside`` it, as columns: ``patch``, ``patch_low``.

    ``wide`` is pivoted: what a number is, and the outcome that it is of.
    """
    columns = {}
    for outcome in OUTCOMES:
        columns[outcome] = wide["share", outcome]
        for name in beside:
            columns[f"{outcome}_{name}"] = wide[name, outcome]
    return pd.DataFrame(columns).reset_index()


def published_methods(published: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 8, which names its rows by two modalities, with our methods' names."""
    pairs = zip(published["icl_modality"], published["query_modality"], strict=True)
    names = [f"{SPECIFICATION_OF[icl]}_{'' if icl == query else 'x'}patch" for icl, query in pairs]
    return published.assign(method=names)


def as_printed(number: float, signed: bool) -> str:
    """Two decimals, with a sign where the number is a difference."""
    return f"{number:+.2f}" if signed else f"{number:.2f}"
