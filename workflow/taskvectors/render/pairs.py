"""The headline contrasts answer by answer, and the differences that they could have shown."""

from collections.abc import Sequence

import pandas as pd

from taskvectors.render.captions import sample_sentence
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.study.tables import as_printed

KEYS = ["model", "method", "other", "query_modality", "metric"]
COUNTS = ["both", "method_only", "other_only", "neither"]


def p_text(p: float) -> str:
    """A p-value with three decimals; one that has none of them is said to be smaller."""
    return "–" if pd.isna(p) else "<0.001" if p < 0.001 else f"{p:.3f}"


def printed_pairs(table: pd.DataFrame) -> pd.DataFrame:
    """A row per task over all seeds, with the exact McNemar p-values of its seeds beside."""
    pooled = table[table["seed"].isna()]
    by_seed = table[table["seed"].notna()].groupby([*KEYS, "task"])["p"]
    mcnemar = by_seed.agg(lambda values: ", ".join(map(p_text, values))).rename("mcnemar")
    printed = pooled.merge(mcnemar.reset_index(), how="left", on=[*KEYS, "task"])
    return printed[[*KEYS, "task", *COUNTS]].assign(
        difference=[as_printed(value, signed=True) for value in printed["difference"]],
        p=[p_text(value) for value in printed["p"]],
        **{"McNemar p by seed": printed["mcnemar"].fillna("–")},
    )


def render_pairs(item: ShownItem) -> None:
    """Write the table of discordant pairs."""
    table = item.joined("pairs")
    samples = [
        asked(str(model), part, item.tasks) for model, part in table.groupby("model", sort=False)
    ]
    write_table(table, printed_pairs(table), item.caption(samples), item.out)


def asked(model: str, pairs: pd.DataFrame, tasks: Sequence[str]) -> str:
    """How many items of each task were asked under each seed, from the counts of one model."""
    of_seeds = pairs[pairs["seed"].notna()]
    items = of_seeds[COUNTS].sum(axis=1).groupby(of_seeds["task"]).max().reindex(tasks)
    return sample_sentence(model, "test", items, of_seeds["seed"].nunique())


def render_power(item: ShownItem) -> None:
    """Write the smallest differences that would have shown."""
    table = item.joined("power")
    printed = table[[*KEYS, "sizes", "items"]].assign(
        discordant=[f"{value:.2f}" for value in table["discordant"]],
        difference=[as_printed(value, signed=True) for value in table["difference"]],
        smallest=[f"{value:.3f}" for value in table["smallest"]],
    )
    write_table(table, printed, item.caption([]), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_pairs": render_pairs, "table_power": render_power})
