"""Accuracies with noisy instructions, by kind of noise: patched, and in the prompt."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taskvectors.base.figures import apply_style, say_absent
from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.render.tables import shown
from taskvectors.study.instructions import KINDS, MEAN, worded
from taskvectors.study.metrics import METRICS
from taskvectors.study.predictions import method_name
from taskvectors.study.tables import accuracies
from taskvectors.study.vectors import INSTRUCTION

QUERIES = ("image", "text")
PLAIN = "plain"
SPECIFICATIONS = {PLAIN: INSTRUCTION, **{kind: worded(kind) for kind in (*KINDS, MEAN)}}
WAYS = {"base": "prompt", "patch": "patch"}
COLOURS = {"base": "#E69F00", "patch": "#0072B2"}
MARKERS = {"base": "o", "patch": "s"}
NO_CONTEXT = "no_context"
DRAWN = "paper"


def instruction_rows(
    model: str, scores: pd.DataFrame, tasks: Sequence[str]
) -> list[dict[str, Any]]:
    """One model's rows: no_context, and each kind of instruction in the prompt and patched.

    The mean of vectors cannot be prompted with, and has one row. ``scores`` are by
    `taskvectors.score.accuracy`, over wordings where it is over seeds elsewhere.
    """
    rows = []
    for metric in METRICS:
        for query in QUERIES:
            methods = {("none", NO_CONTEXT): NO_CONTEXT} | {
                (kind, way): method_name(specification, query, way)
                for kind, specification in SPECIFICATIONS.items()
                for way in WAYS
                if (kind, way) != (MEAN, "base")
            }
            for (kind, way), method in methods.items():
                named = {"model": model, "query_modality": query, "metric": metric}
                numbers = accuracies(scores, method, query, metric, tasks)
                rows.append({**named, "instruction": kind, "way": WAYS.get(way, way), **numbers})
    return rows


def instruction_table(item: ShownItem) -> tuple[pd.DataFrame, list[str]]:
    """The rows of all models, and the sentences on how many items they stand on."""
    scores = item.frames("scores")
    rows = [
        row for model, one in scores.items() for row in instruction_rows(model, one, item.tasks)
    ]
    samples = [asked_sentence(model, one, item.tasks, NO_CONTEXT) for model, one in scores.items()]
    samples += [wordings_sentence(model, one) for model, one in scores.items()]
    return pd.DataFrame(rows), samples + caveats(scores)


def wordings_sentence(model: str, scores: pd.DataFrame) -> str:
    """How many wordings of each kind a task has."""
    counts = {
        kind: scores.loc[scores["method"].str.startswith(worded(kind)), "seeds"].max()
        for kind in KINDS
    }
    known = ", ".join(f"{kind} {int(n)}" for kind, n in counts.items() if pd.notna(n))
    return f"{model}: wordings a task {known or 'none'}."


def draw_instructions(table: pd.DataFrame, models: Sequence[str]) -> Figure:
    """A row of panels per model, a panel per query modality: average accuracy by kind of noise,
    patched beside prompted, with 95 % intervals; a dashed line is no context at all."""
    apply_style()
    figure, axes = plt.subplots(
        len(models),
        len(QUERIES),
        figsize=(3.1 * len(QUERIES) + 0.4, 2.0 * len(models) + 0.8),
        sharex=True,
        sharey="row",
        squeeze=False,
    )
    for line, model in zip(axes, models, strict=True):
        for axis, query in zip(line, QUERIES, strict=True):
            mine = (table["model"] == model) & (table["query_modality"] == query)
            _draw_panel(axis, table[mine].set_index(["instruction", "way"]))
            axis.set_title(f"{query} queries", fontsize=7)
        line[0].set_ylabel(f"{model}\naccuracy")
        line[0].set_ylim(bottom=0)
    for axis in axes[-1]:
        names = [kind.replace("_", " ") for kind in SPECIFICATIONS]
        axis.set_xticks(range(len(names)), names, rotation=35, ha="right")
    handles, labels = axes[0][0].get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False
        )
    figure.tight_layout()
    return figure


def _draw_panel(axis: Axes, part: pd.DataFrame) -> None:
    known = part[part["average"].notna()]
    if known.empty:
        say_absent(axis, "not measured")
        return
    for (way, label), shift in zip(WAYS.items(), (-0.12, 0.12), strict=True):
        found = [
            (place, known.loc[(kind, label)])
            for place, kind in enumerate(SPECIFICATIONS)
            if (kind, label) in known.index
        ]
        heights = np.array([row["average"] for _, row in found], dtype=float)
        ends = np.array([[row["low"], row["high"]] for _, row in found], dtype=float).T
        axis.errorbar(
            [place + shift for place, _ in found],
            heights,
            yerr=np.abs(ends - heights),
            label=label,
            color=COLOURS[way],
            marker=MARKERS[way],
            linestyle="",
            markersize=4,
            capsize=2,
            elinewidth=0.8,
        )
    if ("none", NO_CONTEXT) in known.index:
        floor = known.loc[("none", NO_CONTEXT), "average"]
        axis.axhline(floor, color="grey", linewidth=0.8, linestyle="--", label="no context")


def render_table(item: ShownItem) -> None:
    """Write the table of all models."""
    table, samples = instruction_table(item)
    write_table(table, shown(table), item.caption(samples), item.out)


def render_figure(item: ShownItem) -> None:
    """Write the figure of one metric, with the table's rows as its data."""
    table, samples = instruction_table(item)
    drawn = table[table["metric"] == DRAWN]
    write_figure(item, [draw_instructions(drawn, item.models)], table, samples)


if __name__ == "__main__":
    render_command(
        __doc__, {"table_instructions": render_table, "figure_instructions": render_figure}
    )
