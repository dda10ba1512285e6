"""Figures 3 and 4: how the output evolves through the layers (paper, section 2.3 and A.4).

They are drawn from what `taskvectors.score.evolution` put down.
"""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from taskvectors.base.figures import (
    GREY,
    PHASE_COLOURS,
    PHASE_DASHES,
    apply_style,
    say_absent,
)
from taskvectors.render.captions import sets_sentences
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.study.layers import shown_layers
from taskvectors.study.words import visible

ICL = ("text_icl", "image_icl")
PIES = 8  # layers shown in Figure 4
SLICES = 3  # commonest tokens named below a pie
OTHER = "other"
NAMED = 10  # letters of a token's name below a pie
ROWS = 6  # of pies on a page
RAMPS, STARTS = (
    {True: "Blues_r", False: "Greys_r"},
    {True: 0.15, False: 0.6},
)  # of words, and of none
HATCH = "////"


def draw_figure_3(
    data: pd.DataFrame, rows: Sequence[tuple[str, str]], tasks: Sequence[str]
) -> Figure:
    """A row of panels per (model, specification), a column per task; a line per phase."""
    apply_style()
    wide = 2.6 if len(tasks) == 1 else 1.3
    figure, axes = plt.subplots(
        len(rows),
        len(tasks),
        figsize=(wide * len(tasks) + 0.6, 1.45 * len(rows) + 0.4),
        sharey=True,
        squeeze=False,
    )
    for line, (model, specification) in zip(axes, rows, strict=True):
        for axis, task in zip(line, tasks, strict=True):
            chosen = (data["model"] == model) & (data["specification"] == specification)
            _draw_phases(axis, data[chosen & (data["task"] == task)])
        line[0].set_ylabel(f"{model}\n{specification}\nprobability")
    for axis, task in zip(axes[0], tasks, strict=True):
        axis.set_title(task)
    for axis in axes[-1]:
        axis.set_xlabel("layer")
    handles = [
        Line2D([], [], color=PHASE_COLOURS[phase], dashes=PHASE_DASHES[phase], label=phase)
        for phase in PHASE_COLOURS
    ]
    figure.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=3, frameon=False
    )
    figure.tight_layout()
    return figure


def _draw_phases(axis: Axes, part: pd.DataFrame) -> None:
    axis.set_ylim(-0.03, 1.03)  # a line at 0 or 1 is seen beside the frame
    axis.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if part.empty:
        say_absent(axis, "not taken")
        return
    # Solid lines first: where several lie on each other, the dashes above leave gaps.
    for phase in sorted(PHASE_COLOURS, key=lambda phase: sum(PHASE_DASHES[phase]) or 99)[::-1]:
        line = part[part["phase"] == phase].sort_values("layer")
        layers, colour = line["layer"].to_numpy(dtype=float), PHASE_COLOURS[phase]
        axis.fill_between(layers, line["least"], line["greatest"], color=colour, alpha=0.25, lw=0)
        axis.plot(layers, line["probability"], color=colour, dashes=PHASE_DASHES[phase])


def render_phases(item: ShownItem) -> None:
    """Write Figure 3 (the first task), or its form for all tasks or for instructions."""
    instructed = item.name.endswith("instruction")
    tasks = item.tasks[:1] if item.name == "figure_3" else item.tasks
    wanted = ("instruction",) if instructed else ICL
    data = chosen(item.joined("phases"), tasks, wanted)
    rows = [(model, specification) for model in item.models for specification in wanted]
    samples = [] if instructed else sets_sentences(data, tasks, "exemplar sets")
    write_figure(item, [draw_figure_3(data, rows, tasks)], data, samples)


def chosen(data: pd.DataFrame, tasks: Sequence[str], wanted: Sequence[str]) -> pd.DataFrame:
    """The rows of some tasks and specifications."""
    return data[data["task"].isin(tasks) & data["specification"].isin(wanted)]


def at_shown_layers(tops: pd.DataFrame) -> pd.DataFrame:
    """The rows of the layers that Figure 4 has pies of, of each model."""
    parts = [tops[tops["model"] == model] for model in tops["model"].unique()]
    return pd.concat(part[part["layer"].isin(shown_layers(part["layer"], PIES))] for part in parts)


def draw_figure_4(data: pd.DataFrame, rows: Sequence[tuple[str, str, str]], columns: int) -> Figure:
    """A row of pies per (model, task, specification), a column per shown layer."""
    apply_style()
    figure, axes = plt.subplots(
        len(rows), columns, figsize=(0.92 * columns + 0.8, 1.32 * len(rows) + 0.75), squeeze=False
    )
    for line, (model, task, specification) in zip(axes, rows, strict=True):
        chosen = (data["model"] == model) & (data["task"] == task)
        part = data[chosen & (data["specification"] == specification)]
        layers = sorted(set(part["layer"]))
        for column, axis in enumerate(line):
            axis.axis("off")
            if column < len(layers):
                _draw_pie(axis, part[part["layer"] == layers[column]])
        name = f"{model}\n{task}\n{specification}" + ("" if layers else "\nnot taken")
        line[0].text(-0.12, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    tall = figure.get_size_inches()[1]
    figure.subplots_adjust(wspace=0.05, hspace=0.75, top=1 - 0.45 / tall, bottom=0.5 / tall)
    figure.legend(handles=_key(), loc="upper center", ncols=3, frameon=False)
    return figure


def _key() -> list[Patch]:
    """What the colours of pies mean."""
    words, others = (plt.get_cmap(RAMPS[word])(STARTS[word]) for word in (True, False))
    fills = {"a word": words, "no word": others, "tokens of a single set each": "white"}
    key = [Patch(fc=fill, ec=GREY, lw=0.4, label=label) for label, fill in fills.items()]
    key[-1].set_hatch(HATCH)
    return key


def slices(part: pd.DataFrame) -> pd.DataFrame:
    """A pie's slices, largest first; those of one set are one, "other".

    ``range`` is a token's share in per cent, from the least to the greatest of a seed.
    """
    ordered = part.sort_values(["count", "token_id"], ascending=[False, True])
    kept = ordered[ordered["count"] > 1]
    named = pd.DataFrame(
        {
            "name": [visible(text, NAMED) for text in kept["token"]],
            "word": kept["word"].to_list(),
            "count": kept["count"].to_list(),
            "range": [
                "–".join(dict.fromkeys(f"{100 * bound:.0f}" for bound in bounds)) + "%"
                for bounds in zip(kept["least"], kept["greatest"], strict=True)
            ],
        }
    )
    rest = int(ordered["count"].sum() - kept["count"].sum())
    other = pd.DataFrame([{"name": OTHER, "word": False, "count": rest}] if rest else [])
    return pd.concat([named, other], ignore_index=True)


def _draw_pie(axis: Axes, part: pd.DataFrame) -> None:
    """One pie: words in blue, darkest first, what is no word in grey, "other" hatched."""
    shown = slices(part)
    ramps = {word: plt.get_cmap(name) for word, name in RAMPS.items()}
    colours = [
        "white" if row.name == OTHER else ramps[row.word](STARTS[row.word] + 0.05 * min(row.at, 5))
        for row in shown.assign(at=range(len(shown))).itertuples(index=False)
    ]
    wedges, *_ = axis.pie(
        shown["count"],
        colors=colours,
        startangle=90,
        counterclock=False,
        wedgeprops={"edgecolor": GREY, "linewidth": 0.4},
    )
    for wedge, name in zip(wedges, shown["name"], strict=True):
        wedge.set_hatch(HATCH if name == OTHER else None)
    axis.set_title(f"layer {part['layer'].iloc[0]}", fontsize=7, pad=1)
    named = shown[shown["name"] != OTHER].iloc[:SLICES]
    names = "\n".join(f"{row.name} {row.range}" for row in named.itertuples(index=False))
    axis.text(0, -1.2, names, ha="center", va="top", fontsize=6.5)


def render_pies(item: ShownItem) -> None:
    """Write Figure 4 (the first task) or its form for all tasks."""
    tasks = item.tasks if item.name.endswith("all") else item.tasks[:1]
    tops = item.joined("tops")
    data = at_shown_layers(chosen(tops.assign(token=tops["token"].fillna("")), tasks, ICL))
    rows = [(model, task, name) for model in item.models for task in tasks for name in ICL]
    pages = [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]
    figures = [draw_figure_4(data, page, PIES) for page in pages]
    write_figure(item, figures, data, sets_sentences(data, tasks, "exemplar sets"))


if __name__ == "__main__":
    render_command(
        __doc__,
        {
            "figure_3": render_phases,
            "figure_3_all": render_phases,
            "figure_3_instruction": render_phases,
            "figure_4": render_pies,
            "figure_4_all": render_pies,
        },
    )
