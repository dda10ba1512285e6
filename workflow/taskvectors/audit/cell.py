"""The predictions behind one cell of a table of accuracies, and the cell counted again."""

from pathlib import Path

import pandas as pd

from taskvectors.audit.lineage import Lineage, Record
from taskvectors.base.errors import UserError
from taskvectors.study.majority import random_baseline
from taskvectors.study.metrics import METRICS, judged
from taskvectors.study.predictions import read_predictions

TOLERANCE = 1e-9
AVERAGE = "average"
SHOWN = ["task", "entity", "label", "token", *METRICS, "seed", "layer", "neighbourhood"]


def show_cell(lineage: Lineage, table: Record, cell: str) -> None:
    """Print the predictions behind ``cell`` (``model,method,task``) and its accuracies.

    Raises `UserError` where the table has no such cell, or where the accuracy counted from the
    predictions is not what the cell says.
    """
    words = [word.strip() for word in cell.split(",")]
    if len(words) != 3:
        raise UserError(f"--cell {cell!r} is not model,method,task; give all three.")
    model, method, task = words
    rows = table_rows(lineage.root / table.path, model, method, task)
    predictions = behind(lineage, table, model, method, task)
    predictions = predictions[predictions["query_modality"] == query_modality(rows, method)]
    print(listing(predictions))
    wrong = []
    for row in rows.to_dict("records"):
        counted, shown = accuracy(predictions, row["metric"]), row[task]
        agrees = abs(counted - shown) <= TOLERANCE
        print(
            f"{table.path}, {model}, {method}, {task}, metric {row['metric']}: {shown:.4f}; "
            f"counted from {len(predictions)} predictions: {counted:.4f}"
        )
        if not agrees:
            wrong.append(row["metric"])
    if wrong:
        raise UserError(
            f"{table.path} does not follow from the predictions under the metric "
            f"{' and '.join(wrong)}; run `snakemake` to make it again."
        )


def listing(predictions: pd.DataFrame) -> str:
    """One line a prediction: tokens are quoted, and what a method does not have is a dash."""
    shown = predictions[[name for name in SHOWN if name in predictions]]
    whole = {name: "Int64" for name in ("seed", "layer") if name in shown}
    quoted = {"token": shown["token"].map(repr)} if "token" in shown else {}
    return shown.astype(whole).assign(**quoted).to_string(index=False, na_rep="-")


def table_rows(path: Path, model: str, method: str, task: str) -> pd.DataFrame:
    """Our rows of the cell, one per metric. Raises `UserError` with what there is instead."""
    if path.suffix != ".csv":
        path = path.with_suffix(".csv")
    table = pd.read_csv(path)
    if not {"method", "metric", "source", AVERAGE} <= set(table):
        raise UserError(f"{path} is no table of accuracies by method; table_3 and table_8 are.")
    if task not in table or task in {"model", "method", "metric", "source"}:
        raise UserError(
            f"{path} has no task {task!r}; its columns are {', '.join(map(str, table))}."
        )
    ours = table[table["source"] == "ours"]
    if method not in set(ours["method"]):
        known = ", ".join(dict.fromkeys(ours["method"]))
        raise UserError(f"{path} has no method {method!r}; it has {known}.")
    rows = ours[(ours["method"] == method) & ours["model"].isin([model, "-"])]
    rows = rows[rows[task].notna()]
    if rows.empty:
        known = ", ".join(dict.fromkeys(ours["model"]))
        raise UserError(f"{path} has no number of {model},{method},{task}; models: {known}.")
    return rows.drop_duplicates("metric")


def query_modality(rows: pd.DataFrame, method: str) -> str:
    """Of which modality the queries of a row are; Table 3 has image queries only."""
    if "query_modality" in rows:
        return rows["query_modality"].iloc[0]
    return "any" if method == "random" else "image"


def behind(lineage: Lineage, table: Record, model: str, method: str, task: str) -> pd.DataFrame:
    """The marked test predictions of ``method`` that the table's scores were made from.

    They are found by following the records, not by the layout of the results.
    """
    scores = [maker for maker in lineage.makers(table) if maker.rule == "score"]
    mine = [record for record in scores if model in ("-", record.wildcards.get("model"))]
    if not mine:
        known = ", ".join(record.wildcards["model"] for record in scores) or "none"
        raise UserError(
            f"{table.path} has no scores of a model {model!r}; it has those of {known}."
        )
    inputs = [given["path"] for given in mine[0].inputs]
    if method == "random":
        folders = [(lineage.root / path).parent for path in inputs if path.endswith(".jsonl")]
        found = pd.concat([random_baseline(folder) for folder in folders])
    else:
        paths = [lineage.root / path for path in inputs if path.endswith(".parquet")]
        answered = read_predictions(paths)
        found = judged(answered[answered["split"] == "test"])
    found = found[found["method"] == method]
    return found if task == AVERAGE else found[found["task"] == task]


def accuracy(predictions: pd.DataFrame, metric: str) -> float:
    """The mean over items of their means over seeds, averaged over tasks; a share in [0, 1]."""
    items = predictions.groupby(["task", "entity"])[metric].mean()
    return float(items.groupby("task").mean().mean())
