"""What accuracies are worth: a constant answer's beside them, and whether the query matters."""

import pandas as pd

from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.pairs import p_text
from taskvectors.render.printed import PrintedCell, write_table
from taskvectors.render.tables import MARK
from taskvectors.study.constant import CONSTANT
from taskvectors.study.tables import DEPENDENCE, as_printed

KEYS = ["model", "method", "query_modality", "task", "metric"]
COLUMNS = [*KEYS, "accuracy", "constant", "excess", "excess_low", "excess_high", *DEPENDENCE]
WIDTHS = (1.8, 3.0, 1.3, 2.3, 1.1, 1.4, 1.4, 2.9, 1.3, 1.6, 1.4, 1.3)


def number(value: float) -> str:
    """Two decimals; a dash for what is missing."""
    return "–" if pd.isna(value) else f"{value:.2f}"


def printed_dependence(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: the excess with its interval, and grey what is not above."""
    accuracy = [
        PrintedCell(f"{number(row.accuracy)}{MARK}", grey=True)
        if row.excess_low <= 0
        else PrintedCell(number(row.accuracy))
        for row in table.itertuples()
    ]
    excess = [
        "–"
        if pd.isna(row.excess)
        else " ".join(
            [
                as_printed(row.excess, signed=True),
                f"[{row.excess_low:+.2f}, {row.excess_high:+.2f}]",
            ]
        )
        for row in table.itertuples()
    ]
    numbers = {name: table[name].map(number) for name in ("constant", "distinct", "commonest")}
    shuffled = {"shuffled": table["shuffled"].map(number), "p": table["shuffled_p"].map(p_text)}
    return table[KEYS].assign(
        accuracy=accuracy, constant=numbers.pop("constant"), excess=excess, **numbers, **shuffled
    )


def render_dependence(item: ShownItem) -> None:
    """Write the table of all methods, tasks and models."""
    scores, by_model = item.joined("scores"), item.frames("scores")
    table = scores.loc[scores["method"] != CONSTANT, COLUMNS]
    samples = [asked_sentence(model, part, item.tasks) for model, part in by_model.items()]
    samples += caveats(by_model)
    write_table(table, printed_dependence(table), item.caption(samples), item.out, WIDTHS)


if __name__ == "__main__":
    render_command(__doc__, {"table_dependence": render_dependence})
