"""Figure and table of task conflict: how often the patch wins over the prompt."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from taskvectors.base.figures import apply_style, say_absent
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.study.tables import OUTCOMES, UNPATCHED, conflict_table

SPECIFICATIONS = (UNPATCHED, "instruction", "text_icl", "image_icl")
KEYS = ["model", "prompted", "patched", "specification", "query_modality", "metric"]
# From dark to light, with hatches, so that grey tells the outcomes apart.
COLOURS = {"patch": "#0072B2", "prompt": "#E69F00", "both": "#CC79A7", "neither": "#F0F0F0"}
HATCHES = {"patch": "", "prompt": "////", "both": "....", "neither": ""}
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
            _draw_panel(axis, shares[chosen & (shares["model"] == model)])
            axis.tick_params(labelleft=axis is line[0])
        line[0].set_ylabel(model)
    for axis, (prompted, patched) in zip(axes[0], pairs, strict=True):
        title = "average of pairs" if prompted == "average" else f"{prompted}\n← {patched}"
        axis.set_title(title, fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("share of items")
    handles = [
        Patch(facecolor=COLOURS[o], hatch=HATCHES[o], edgecolor="black", linewidth=0.4, label=o)
        for o in OUTCOMES
    ]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False
    )
    figure.tight_layout()
    return figure


def _draw_panel(axis: Axes, part: pd.DataFrame) -> None:
    if part.empty:
        say_absent(axis, "not measured")
        return
    shown = [name for name in SPECIFICATIONS if name in set(part["specification"])]
    table = part.set_index(["specification", "outcome"])
    left = np.zeros(len(shown))
    for outcome in OUTCOMES:
        share = np.array([table.loc[(name, outcome), "share"] for name in shown])
        axis.barh(
            shown,
            share,
            left=left,
            color=COLOURS[outcome],
            hatch=HATCHES[outcome],
            edgecolor="black",
            linewidth=0.4,
            height=0.7,
        )
        left += share
    for place, name in enumerate(shown):
        least, greatest = table.loc[(name, "patch"), ["least", "greatest"]]
        if pd.notna(least):
            axis.plot([least, greatest], [place, place], color="black", linewidth=1.2, marker="|")
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axis.invert_yaxis()
    axis.grid(visible=False)


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
