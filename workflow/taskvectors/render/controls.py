"""Vectors that should do nothing, each beside the real one."""

from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.render.tables import shown
from taskvectors.study.tables import accuracies, as_printed

KEYS = ["method", "query_modality", "metric"]
BOUNDS = {"low": "difference_low", "high": "difference_high"}


def control_rows(
    scores: pd.DataFrame, pairs: pd.DataFrame, tasks: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """One model's rows: each real vector, and below it what it is held against, with the real
    one's average less this one's and whether it is better.

    ``method`` is the real vector's in all of them. ``scores`` are by `taskvectors.score.accuracy`,
    ``pairs`` by `taskvectors.score.controls`.
    """
    averages = pairs[pairs["task"] == "average"].rename(columns=BOUNDS)
    for keys, held in averages.groupby(KEYS, sort=False):
        real, query, metric = keys
        named = dict(zip(KEYS, keys, strict=True))
        yield {**named, "vector": "real", **accuracies(scores, real, query, metric, tasks)}
        for row in held.to_dict("records"):
            found = {name: row[name] for name in ("difference", *BOUNDS.values(), "verdict")}
            numbers = accuracies(scores, row["other"], query, metric, tasks)
            yield {**named, "vector": row["vector"], **numbers, **found}


def difference_text(row: dict[str, Any]) -> str:
    """A difference with its interval."""
    if pd.isna(row["difference"]):
        return "–"
    bounds = [as_printed(row[name], signed=True) for name in BOUNDS.values()]
    return f"{as_printed(row['difference'], signed=True)} [{', '.join(bounds)}]"


def printed_controls(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed, each difference with its interval and what follows behind it."""
    printed = shown(table.drop(columns=["difference", *BOUNDS.values(), "verdict"]))
    return printed.assign(
        difference=[difference_text(row) for row in table.to_dict("records")],
        **{"real is better": table["verdict"].fillna("–")},
    )


def render_controls(item: ShownItem) -> None:
    """Write the table of all models."""
    scores, pairs = item.frames("scores"), item.frames("pairs")
    rows = [
        {"model": model, **row}
        for model, one in scores.items()
        for row in control_rows(one, pairs[model], item.tasks)
    ]
    table = pd.DataFrame(rows)
    samples = [asked_sentence(model, one, item.tasks) for model, one in scores.items()]
    samples += caveats(scores)
    write_table(table, printed_controls(table), item.caption(samples), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_controls": render_controls})
