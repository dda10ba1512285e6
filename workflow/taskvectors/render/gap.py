"""What a gap between modalities does: models beside each other that see differently."""

import pandas as pd

from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.study.tables import as_printed

KEYS = ["measure", "of"]
SIGNED = "accuracy above a constant"


def printed_number(row: pd.Series) -> str:
    """A number with its interval, the written name's and a constant answer's, where it has them."""
    text = as_printed(row["value"], signed=row["measure"] == SIGNED)
    if pd.notna(row["low"]):
        text += f" [{row['low']:+.2f}, {row['high']:+.2f}]"
    beside = [
        f"{name} {row[column]:.2f}"
        for column, name in (("name", "name"), ("constant", "constant"))
        if pd.notna(row[column])
    ]
    return f"{text} ({', '.join(beside)})" if beside else text


def render_gap(item: ShownItem) -> None:
    """Write a row per measure and a column per model."""
    table = item.joined("gap")
    table["printed"] = table.apply(printed_number, axis=1)
    wide = table.pivot(index=KEYS, columns="model", values="printed")
    order = pd.MultiIndex.from_frame(table[KEYS].drop_duplicates())
    printed = wide.reindex(order)[item.models].fillna("–").reset_index()
    write_table(table, printed, item.caption([]), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_gap": render_gap})
