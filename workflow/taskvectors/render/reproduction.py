"""The reproduction table: every claim of the paper, its numbers, ours, and what follows."""

import pandas as pd

from taskvectors.base.frames import read_frame
from taskvectors.render.captions import asked_sentence
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.study.tables import as_printed

VERDICTS = ("holds", "does not hold", "undecided", "not measured")
WIDTHS = (2.9, 1.5, 2.4, 1.4, 1.3, 1.8, 1.9, 1.2, 1.5)  # of the printed columns, in centimetres
TEXTS = ["quantity", "model", "metric", "paper", "claimed", "why"]  # empty where there is none


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: ours with its interval and the spread over seeds."""
    shown = table[["claim", "where", "quantity", "model", "metric", "paper"]].replace("", "–")
    ours = []
    for row in table.itertuples():
        if pd.isna(row.ours):
            ours.append("–")
            continue
        value, low, high = (as_printed(n, row.signed) for n in (row.ours, row.low, row.high))
        bounds = "" if row.interval == "none" else f" [{low}, {high}]"
        spread = "" if pd.isna(row.spread) else f", seeds ±{row.spread:.2f}"
        ours.append(value + bounds + spread)
    verdicts = [
        f"{row.verdict}: {row.why}" if row.why else row.verdict for row in table.itertuples()
    ]
    return shown.assign(ours=ours, claimed=table["claimed"].replace("", "–"), verdict=verdicts)


def count_sentence(table: pd.DataFrame) -> str:
    """How many claims hold, do not, and so on, leaving the strict metric's rows out."""
    counts = table.loc[table["metric"] != "strict", "verdict"].value_counts()
    shown = ", ".join(f"{name} {counts.get(name, 0)}" for name in VERDICTS)
    return f"Rows by verdict, without the strict metric's: {shown}."


def render_reproduction(item: ShownItem) -> None:
    """Write the table from the claims as they were measured."""
    table = read_frame(item.one("claims"))
    table = table.assign(**table[TEXTS].fillna(""))
    scores = item.frames("scores")
    samples = [count_sentence(table)]
    samples += [asked_sentence(model, scores[model], item.tasks) for model in item.models]
    data = table.drop(columns="signed")
    write_table(data, printed(table), item.caption(samples), item.out, WIDTHS)


if __name__ == "__main__":
    render_command(__doc__, {"reproduction": render_reproduction})
