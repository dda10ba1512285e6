"""Figure and table of task conflict: how often the patch wins over the prompt."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.base.figures import apply_style
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.outcomes import draw_outcomes, outcome_legend
from taskvectors.render.printed import write_table
from taskvectors.study.overriding import SYSTEM_PROMPT
from taskvectors.study.tables import OUTCOMES, UNPATCHED, conflict_table

SPECIFICATIONS = (UNPATCHED, SYSTEM_PROMPT, "instruction", "text_icl", "image_icl")
KEYS = ["model", "prompted", "patched", "specification", "query_modality", "metric"]
DRAWN = "paper"


def printed_table(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed: shares with their 95 % intervals."""
    printed = table[[*KEYS, "interval", "items", "seeds"]].copy()
    for outcome in OUTCOMES:
        printed[outcome] = [
            f"{share:.2f} [{low:.2f}, {high:.2f}]"
            for share, low, high in zip(
                table[outcome], table[f"{outcome}_low"], table[f"{outcome}_high"], strict=True
            )
        ]
    return printed


def draw_conflict(shares: pd.DataFrame, models: Sequence[str]) -> Figure:
    """A row of panels per model, a panel per ordered pair: a stacked bar per specification."""
    apply_style()
    pairs = list(shares[["prompted", "patched"]].drop_duplicates().itertuples(index=False))
    figure, axes = plt.subplots(
        len(models),
        len(pairs),
        figsize=(1.25 * len(pairs) + 0.9, 1.5 * len(models) + 0.5),
        sharex=True,
        squeeze=False,
    )
    for line, model in zip(axes, models, strict=True):
        for axis, (prompted, patched) in zip(line, pairs, strict=True):
            chosen = (shares["prompted"] == prompted) & (shares["patched"] == patched)
            part = shares[chosen & (shares["model"] == model)]
            draw_outcomes(axis, part.rename(columns={"specification": "way"}), SPECIFICATIONS)
            axis.tick_params(labelleft=axis is line[0])
        line[0].set_ylabel(model)
    for axis, (prompted, patched) in zip(axes[0], pairs, strict=True):
        title = "average of pairs" if prompted == "average" else f"{prompted}\n← {patched}"
        axis.set_title(title, fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("share of items")
    outcome_legend(figure)
    figure.tight_layout()
    return figure


def items_sentence(shares: pd.DataFrame, model: str) -> str:
    """How many items each pair had, and under how many seeds."""
    part = shares[(shares["model"] == model) & (shares["prompted"] != "average")]
    if part.empty:
        return f"{model}: not measured."
    items = part.groupby(["prompted", "patched"], sort=False)["items"].max()
    counts = ", ".join(f"{prompt} ← {patch} {count}" for (prompt, patch), count in items.items())
    return f"{model}: test items {counts}; {part['seeds'].max()} seeds."


def render_table(item: ShownItem) -> None:
    """Write the table from the outcomes of all models."""
    shares = item.joined("scores")
    table = conflict_table(shares)
    samples = [items_sentence(shares, model) for model in item.models]
    write_table(table, printed_table(table), item.caption(samples), item.out)


def render_figure(item: ShownItem) -> None:
    """Write the figure from the outcomes of all models."""
    shares = item.joined("scores")
    samples = [items_sentence(shares, model) for model in item.models]
    drawn = shares[shares["metric"] == DRAWN]
    write_figure(item, [draw_conflict(drawn, item.models)], drawn, samples)


if __name__ == "__main__":
    render_command(__doc__, {"figure_conflict": render_figure, "table_conflict": render_table})
