"""Whom an answer follows, prompt or patch: a stacked bar for each way of asking."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from taskvectors.base.figures import say_absent
from taskvectors.study.tables import OUTCOMES

# From dark to light, with hatches, so that grey tells the outcomes apart.
COLOURS = {"patch": "#0072B2", "prompt": "#E69F00", "both": "#CC79A7", "neither": "#F0F0F0"}
HATCHES = {"patch": "", "prompt": "////", "both": "....", "neither": ""}
LOOK: dict[str, Any] = {"edgecolor": "black", "linewidth": 0.4}


def draw_outcomes(axis: Axes, part: pd.DataFrame, ways: Sequence[str]) -> None:
    """A bar for each of ``ways`` that ``part`` has: rows of way, outcome and share, with the ends
    ``least`` and ``greatest`` of a line across the share of the patch, missing where there is none.
    """
    if part.empty:
        say_absent(axis, "not measured")
        return
    shown = [name for name in ways if name in set(part["way"])]
    table = part.set_index(["way", "outcome"])
    left = np.zeros(len(shown))
    for outcome in OUTCOMES:
        share = np.array([table.loc[(name, outcome), "share"] for name in shown])
        look: dict[str, Any] = {"color": COLOURS[outcome], "hatch": HATCHES[outcome], **LOOK}
        axis.barh(shown, share, left=left, height=0.7, **look)
        left += share
    for place, name in enumerate(shown):
        least, greatest = table.loc[(name, "patch"), ["least", "greatest"]]
        if pd.notna(least):
            axis.plot([least, greatest], [place, place], color="black", linewidth=1.2, marker="|")
    axis.set_xlim(0, 1)
    axis.set_xticks([0, 0.5, 1], ["0", "½", "1"])
    axis.invert_yaxis()
    axis.grid(visible=False)


def outcome_legend(figure: Figure) -> None:
    """What the colours are, below the panels."""
    handles = [Patch(facecolor=COLOURS[o], hatch=HATCHES[o], label=o, **LOOK) for o in OUTCOMES]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=4, frameon=False
    )
