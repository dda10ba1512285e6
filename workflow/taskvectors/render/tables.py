"""Tables: ours beside the paper's, as CSV, Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from taskvectors.render.captions import naming_table, sample_sentence
from taskvectors.render.printed import write_table
from taskvectors.render.run import Run

# method in the paper's table, our method, query modality
TABLE_3 = (
    ("random", "random", "any"),
    ("no_context", "no_context", "image"),
    ("image_icl_base", "image_icl_base", "image"),
    ("image_icl_patch", "image_icl_patch", "image"),
    ("text_icl_xbase", "text_icl_xbase", "image"),
    ("text_icl_xpatch", "text_icl_xpatch", "image"),
    ("instruction_xpatch", "instruction_xpatch", "image"),
)
# our method, query modality; the paper names the rows by the two modalities
TABLE_8 = (
    ("image_icl_patch", "image"),
    ("text_icl_xpatch", "image"),
    ("instruction_xpatch", "image"),
    ("text_icl_patch", "text"),
    ("image_icl_xpatch", "text"),
    ("instruction_patch", "text"),
)
ICL_MODALITY = {"text": "text_icl", "image": "image_icl"}


def render_scores(run: Run) -> None:
    """Write a table of accuracies from the models' scores and the published numbers."""
    scores = {m: pd.read_csv(run.of("score", m) / "accuracy.csv") for m in run.models}
    table = {"table_3": table_3, "table_8": table_8}[run.item](scores, run.published(), run.tasks)
    samples = []
    for model, scored in scores.items():
        measured = scored[(scored["metric"] == "paper") & (scored["task"] != "average")]
        items = measured.groupby("task")["items"].max().reindex(run.tasks)
        samples.append(sample_sentence(model, "test", items, measured["seeds"].max()))
    write_table(table, shown(table), run.caption(samples), run.out)


def render_naming(run: Run) -> None:
    """Write how well the embedded model's vision tower names images."""
    tables = [naming_table(run.naming(model)).assign(model=model) for model in run.seeing]
    table = pd.concat(tables)[["model", "entity_set", "accuracy", "images"]]
    printed = table.assign(accuracy=[f"{value:.3f}" for value in table["accuracy"]])
    write_table(table, printed, run.caption([]), run.out)


def accuracies(
    scores: pd.DataFrame, method: str, query_modality: str, metric: str, tasks: Sequence[str]
) -> dict[str, float | None]:
    """One table row's numbers: task to accuracy, the average and its 95 % interval.

    What was not measured is missing (None), never zero.
    """
    mine = scores[
        (scores["method"] == method)
        & (scores["query_modality"] == query_modality)
        & (scores["metric"] == metric)
    ].set_index("task")
    row = {task: mine["accuracy"].get(task) for task in (*tasks, "average")}
    return {**row, "low": mine["low"].get("average"), "high": mine["high"].get("average")}


def table_3(
    scores: dict[str, pd.DataFrame], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 3, cross-modal transfer to image queries: our models by both metrics, then the paper's.

    ``scores`` maps a model to its accuracies (`taskvectors.score.accuracy`).
    """
    rows = []
    for model, table in scores.items():
        for metric in ("paper", "strict"):
            for name, method, modality in TABLE_3:
                numbers = accuracies(table, method, modality, metric, tasks)
                shown = "-" if name == "random" else model
                rows.append(_named(shown, {"method": name}, metric, "ours", numbers))
    return pd.DataFrame(rows + _published(published, ["method"], tasks))


def table_8(
    scores: dict[str, pd.DataFrame], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 8, patching in all combinations of specification and query modality."""
    rows = []
    for model, table in scores.items():
        for metric in ("paper", "strict"):
            for method, modality in TABLE_8:
                numbers = accuracies(table, method, modality, metric, tasks)
                keys = {"method": method, "query_modality": modality}
                rows.append(_named(model, keys, metric, "ours", numbers))
    published = published_methods(published)
    return pd.DataFrame(rows + _published(published, ["method", "query_modality"], tasks))


def published_methods(published: pd.DataFrame) -> pd.DataFrame:
    """The paper's Table 8, which names its rows by two modalities, with our methods' names."""
    pairs = zip(published["icl_modality"], published["query_modality"], strict=True)
    names = [f"{ICL_MODALITY[icl]}_{'' if icl == query else 'x'}patch" for icl, query in pairs]
    return published.assign(method=names)


def _named(model: str, keys: dict[str, str], metric: str, source: str, numbers: dict) -> dict:
    return {"model": model, **keys, "metric": metric, "source": source, **numbers}


def _published(published: pd.DataFrame, keys: list[str], tasks: Sequence[str]) -> list[dict]:
    """The paper's rows; a task that the paper does not have is missing."""
    rows = []
    for row in published.to_dict("records"):
        numbers = {task: row.get(task) for task in (*tasks, "average")}
        named = _named(row["model"], {key: row[key] for key in keys}, "paper", "paper", numbers)
        rows.append({**named, "low": None, "high": None})
    return rows


def with_difference(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The table with our average less the paper's where the paper has a row of the same keys."""
    paper = table[table["source"] == "paper"].set_index(keys)["average"].to_dict()
    ours = table["source"] == "ours"
    same = [paper.get(key) for key in table[keys].itertuples(index=False, name=None)]
    difference = table["average"].astype(float) - pd.Series(same, table.index, dtype=float)
    return table.assign(difference=difference.where(ours))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: two decimals, the interval behind the average."""
    known = {"average", "cosine_similarity", "difference"}
    numbers = [name for name in table.columns if name in known or "-" in name]
    printed = table.drop(columns=["low", "high"]).astype(object)
    for name in numbers:
        printed[name] = ["–" if pd.isna(value) else f"{value:.2f}" for value in table[name]]
    printed["average"] = [
        average if pd.isna(low) else f"{average} [{low:.2f}, {high:.2f}]"
        for average, low, high in zip(printed["average"], table["low"], table["high"], strict=True)
    ]
    return printed


RENDERERS = {"table_3": render_scores, "table_8": render_scores, "naming": render_naming}
