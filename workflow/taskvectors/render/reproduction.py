"""The reproduction table: every claim of the paper, its numbers, ours, and what follows."""

import pandas as pd

from taskvectors.base.frames import read_frame
from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.study.tables import as_printed

VERDICTS = ("holds", "does not hold", "undecided", "not measured")
WIDTHS = (1.5, 1.4, 2.9, 2.0, 1.2, 1.2, 1.8, 2.4, 1.4, 1.2, 1.5)  # in centimetres
PRINTED = ["verdict", "after Holm", "claim", "ours", "interval", "claimed", "paper"]
PRINTED += ["quantity", "model", "metric", "where"]
TEXTS = ["quantity", "model", "metric", "paper", "claimed", "why"]  # empty where there is none


def printed(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: ours with its interval and the spread over seeds."""
    shown = table.replace("", "–")
    ours = []
    for row in table.itertuples():
        if pd.isna(row.ours):
            ours.append("–")
            continue
        value, low, high = (as_printed(n, row.signed) for n in (row.ours, row.low, row.high))
        bounds = "" if pd.isna(row.low) else f" [{low}, {high}]"
        spread = "" if pd.isna(row.spread) else f", seeds ±{row.spread:.2f}"
        ours.append(value + bounds + spread)
    verdicts = [
        f"{row.verdict}: {row.why}" if row.why else row.verdict for row in table.itertuples()
    ]
    shown = shown.assign(ours=ours, verdict=verdicts, interval=table["interval"].fillna("–"))
    return shown.rename(columns={"adjusted": "after Holm"})[PRINTED]


def count_sentence(table: pd.DataFrame) -> str:
    """How many claims hold, do not, and so on, leaving the strict metric's rows out."""
    counts = table.loc[table["metric"] != "strict", "verdict"].value_counts()
    shown = ", ".join(f"{name} {counts.get(name, 0)}" for name in VERDICTS)
    return f"Rows by verdict, without the strict metric's: {shown}."


def chance_sentence(table: pd.DataFrame) -> str:
    """How many verdicts would be wrong by chance, and how many are left after Holm."""
    tested = table["p"].notna().sum()
    decided = table["verdict"].isin(VERDICTS[:2]).sum()
    left = table["adjusted"].isin(VERDICTS[:2]).sum()
    return (
        f"{tested} rows, both metrics, are tested at 95 %: if every quantity lay on its line, "
        f"{0.05 * tested:.1f} of them would be decided by chance. {decided} are decided; "
        f"after Holm's correction for all {tested}, {left} still are."
    )


def render_reproduction(item: ShownItem) -> None:
    """Write the table from the claims as they were measured."""
    table = read_frame(item.one("claims"))
    table = table.assign(**table[TEXTS].fillna(""))
    scores = item.frames("scores")
    samples = [count_sentence(table), chance_sentence(table)]
    samples += [asked_sentence(model, scores[model], item.tasks) for model in item.models]
    samples += caveats(scores)
    data = table.drop(columns="signed")
    write_table(data, printed(table), item.caption(samples), item.out, WIDTHS)


if __name__ == "__main__":
    render_command(__doc__, {"reproduction": render_reproduction})
