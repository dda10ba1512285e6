"""Figure 8: accuracy by number of samples, of exemplar vectors, the instruction's and ensembles.

This figure alone is drawn without regard to case (`taskvectors.study.metrics`); its data have
the metrics that regard it beside.
"""

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taskvectors.base.figures import (
    SPECIFICATION_COLOURS,
    SPECIFICATION_DASHES,
    SPECIFICATION_MARKERS,
    apply_style,
    say_absent,
)
from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.study.metrics import CASELESS
from taskvectors.study.vectors import ENSEMBLE

LABELS = {
    "text_icl": "exemplar xpatch",
    ENSEMBLE: "instruction + exemplar xpatch",
    "instruction": "instruction xpatch",
}


def draw_figure_8(data: pd.DataFrame, models: list[str]) -> Figure:
    """A panel per model: a line per specification with a band from worst to best seed."""
    apply_style()
    figure, axes = plt.subplots(
        1, len(models), figsize=(2.6 * len(models) + 0.6, 2.4), sharey=True, squeeze=False
    )
    drawn = data[data["metric"] == CASELESS]
    for axis, model in zip(axes[0], models, strict=True):
        axis.set_title(model)
        axis.set_xlabel("samples")
        _draw_panel(axis, drawn[drawn["model"] == model])
    axes[0][0].set_ylabel("test accuracy\n(case-insensitive)")
    handles = {label: line for axis in axes[0] for line, label in zip(*_legend(axis), strict=True)}
    figure.legend(
        handles.values(), handles, loc="upper center", bbox_to_anchor=(0.5, 0), frameon=False
    )
    figure.tight_layout()
    return figure


def _legend(axis: Axes) -> tuple[list, list[str]]:
    return axis.get_legend_handles_labels()


def _draw_panel(axis: Axes, part: pd.DataFrame) -> None:
    if part.empty:
        say_absent(axis, "not measured")
        return
    for name in ("text_icl", ENSEMBLE):
        line = part[part["specification"] == name].sort_values("samples")
        samples, colour = line["samples"].to_numpy(dtype=float), SPECIFICATION_COLOURS[name]
        axis.fill_between(samples, line["least"], line["greatest"], color=colour, alpha=0.2, lw=0)
        axis.plot(
            samples,
            line["accuracy"],
            color=colour,
            dashes=SPECIFICATION_DASHES[name],
            marker=SPECIFICATION_MARKERS[name],
            label=LABELS[name],
        )
    for accuracy in part.loc[part["specification"] == "instruction", "accuracy"]:
        axis.axhline(
            accuracy,
            color=SPECIFICATION_COLOURS["instruction"],
            dashes=SPECIFICATION_DASHES["instruction"],
            label=LABELS["instruction"],
        )
    axis.set_ylim(0, max(0.1, 1.1 * float(part["greatest"].max())))
    axis.set_xticks(sorted(part["samples"].dropna().unique()))


def gain_sentence(data: pd.DataFrame, model: str, published: pd.DataFrame) -> str:
    """What the ensemble gains over exemplars alone at the fewest samples, beside the paper's."""
    part = data[(data["metric"] == CASELESS) & (data["model"] == model)]
    fewest = part["samples"].min()
    at = part[part["samples"] == fewest].set_index("specification")["accuracy"]
    if not {"text_icl", ENSEMBLE} <= set(at.index):
        return f"{model}: not measured."
    gains = ", ".join(
        f"{row.model} at {row.samples} samples {row.gain:+.2f}" for row in published.itertuples()
    )
    return (
        f"Ensemble over exemplars alone: {model} at {fewest:.0f} samples "
        f"{at[ENSEMBLE] - at['text_icl']:+.2f} (the paper: {gains})."
    )


def render_figure_8(item: ShownItem) -> None:
    """Write the figure from the accuracies by number of samples of all models."""
    data, scores = item.joined("samples"), item.frames("scores")
    samples = []
    for model in item.models:
        samples.append(asked_sentence(model, scores[model], item.tasks, "text_icl_xpatch"))
        samples.append(gain_sentence(data, model, item.published()))
    samples += caveats(scores)
    write_figure(item, [draw_figure_8(data, item.models)], data, samples)


if __name__ == "__main__":
    render_command(__doc__, {"figure_8": render_figure_8})
