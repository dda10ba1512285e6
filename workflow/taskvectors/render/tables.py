"""Tables: ours beside the paper's, as CSV, Markdown and LaTeX."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from taskvectors.render.captions import asked_sentence, caveats, naming_table
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import PrintedCell, write_table
from taskvectors.study.constant import CONSTANT, MARK
from taskvectors.study.metrics import METRICS
from taskvectors.study.tables import BESIDE, accuracies, description_rows, published_methods

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


def render_scores(item: ShownItem) -> None:
    """Write a table of accuracies from the models' scores and the published numbers."""
    scores = item.frames("scores")
    made = {"table_3": table_3, "table_8": table_8, "table_wild": table_wild}[item.name]
    published = item.published() if "published" in item.inputs else pd.DataFrame()
    table = made(scores, published, item.tasks)
    samples = [asked_sentence(model, scored, item.tasks) for model, scored in scores.items()]
    samples += caveats(scores)
    write_table(table, shown(table), item.caption(samples), item.out)


def render_descriptions(item: ShownItem) -> None:
    """Write the accuracies on dense descriptions: image ICL patched into text queries, beside
    prompting."""
    scores = item.frames("scores")
    rows = [
        row for model, one in scores.items() for row in description_rows(model, one, item.tasks)
    ]
    table = pd.DataFrame(rows)
    samples = [
        asked_sentence(model, one, item.tasks, split="described test")
        for model, one in scores.items()
    ]
    samples += caveats(scores)
    write_table(table, shown(table), item.caption(samples), item.out)


def render_naming(item: ShownItem) -> None:
    """Write how well the embedded models' vision towers name images."""
    tables = [naming_table(path).assign(model=model) for model, path in item.naming().items()]
    table = pd.concat(tables)[["model", "vision_tower", "entity_set", "accuracy", "images"]]
    printed = table.assign(accuracy=[f"{value:.3f}" for value in table["accuracy"]])
    write_table(table, printed, item.caption([]), item.out)


def table_3(
    scores: dict[str, pd.DataFrame], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 3, cross-modal transfer to image queries: our models by both metrics, then the paper's.

    ``scores`` maps a model to its accuracies (`taskvectors.score.accuracy`).
    """
    rows = []
    for model, table in scores.items():
        for metric in METRICS:
            for name, method, modality in TABLE_3:
                numbers = accuracies(table, method, modality, metric, tasks)
                shown = "-" if name == "random" else model
                rows.append(_named(shown, {"method": name}, metric, "ours", numbers))
    table = pd.DataFrame(rows + _published(published, ["method"], tasks))
    return with_constant(table, scores, tasks)


def table_wild(
    scores: dict[str, pd.DataFrame], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 4 of the ICML version, "in the wild": the rows of Table 3 where descriptions are the
    text exemplars. ``published`` is empty: its cells are not at hand."""
    return table_3(scores, published, tasks).assign(published="not at hand")


def table_8(
    scores: dict[str, pd.DataFrame], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 8, patching in all combinations of specification and query modality."""
    rows = []
    for model, table in scores.items():
        for metric in METRICS:
            for method, modality in TABLE_8:
                numbers = accuracies(table, method, modality, metric, tasks)
                named = {"method": method, "query_modality": modality}
                rows.append(_named(model, named, metric, "ours", numbers))
    published = published_methods(published)
    table = pd.DataFrame(rows + _published(published, ["method", "query_modality"], tasks))
    return with_constant(table, scores, tasks)


def _named(model: str, keys: dict[str, str], metric: str, source: str, numbers: dict) -> dict:
    return {"model": model, **keys, "metric": metric, "source": source, **numbers}


def _published(published: pd.DataFrame, keys: list[str], tasks: Sequence[str]) -> list[dict]:
    """The paper's rows; a task that the paper does not have is missing."""
    rows = []
    for row in published.to_dict("records"):
        numbers = {task: row.get(task) for task in (*tasks, "average")}
        named = {key: row[key] for key in keys}
        rows.append(_named(row["model"], named, "paper", "paper", numbers))
    return rows


def with_constant(
    table: pd.DataFrame, scores: dict[str, pd.DataFrame], tasks: Sequence[str]
) -> pd.DataFrame:
    """The table with what a constant answer earns on our labels beside the paper's rows, in the
    tokens of the same model where it was run, else of our first one."""
    ours = {
        model: accuracies(one, CONSTANT, "any", "paper", tasks)["average"]
        for model, one in scores.items()
    }
    first = next(iter(ours.values()))
    beside = [ours.get(model, first) for model in table["model"]]
    paper = table["source"] == "paper"
    return table.assign(constant=table["constant"].mask(paper, pd.Series(beside, table.index)))


def with_difference(table: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """The table with our average less the paper's where the paper has a row of the same keys."""
    paper = table[table["source"] == "paper"].set_index(keys)["average"].to_dict()
    ours = table["source"] == "ours"
    same = [paper.get(key) for key in table[keys].itertuples(index=False, name=None)]
    difference = table["average"].astype(float) - pd.Series(same, table.index, dtype=float)
    return table.assign(difference=difference.where(ours))


def shown(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: two decimals, the interval behind the average and its kind in
    a column. What is not above the constant answer is grey."""
    known = {"average", "cosine_similarity", "difference", "constant"}
    numbers = [name for name in table.columns if name in known or "-" in name]
    hidden = [*BESIDE, "not_above"]
    printed = table.drop(columns=[name for name in hidden if name in table]).astype(object)
    grey = table["not_above"].fillna("").str.split()
    ours = table["source"] == "ours" if "source" in table else pd.Series(True, table.index)
    rows = list(zip(table.to_dict("records"), grey, ours, strict=True))
    for name in numbers:
        printed[name] = [
            PrintedCell(f"{text}{MARK}", grey=True) if name in names else text
            for text, names in ((number_text(name, row, own), names) for row, names, own in rows)
        ]
    printed["interval"] = [interval_text(row) for row, _, _ in rows]
    return printed


def number_text(name: str, row: dict[str, Any], ours: bool) -> str:
    """A number of a row: two decimals, the average with its interval."""
    if pd.isna(row[name]):
        return "–"
    text = f"{row[name]:.2f}"
    if name == "average" and not pd.isna(row["low"]):
        return f"{text} [{row['low']:.2f}, {row['high']:.2f}]"
    return f"{text} (ours)" if name == "constant" and not ours else text


def interval_text(row: dict[str, Any]) -> str:
    """Of what kind a row's interval is; that over items alone beside a wider one."""
    if pd.isna(row["low"]):
        return "–"
    if row["interval"] == "items":
        return "items"
    return f"{row['interval']}; items [{row['items_low']:.2f}, {row['items_high']:.2f}]"


if __name__ == "__main__":
    render_command(
        __doc__,
        {
            "table_3": render_scores,
            "table_8": render_scores,
            "table_wild": render_scores,
            "table_descriptions": render_descriptions,
            "naming": render_naming,
        },
    )
