"""Figure 8: accuracy by number of samples, of exemplar vectors, the instruction's and ensembles.

Because casing is hard to ask for by an instruction, this figure alone is drawn without
regard to case (paper, section 3.2); its data have the metrics that regard it beside.
"""

from __future__ import annotations

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taskvectors.base.figures import (
    SPECIFICATION_COLOURS,
    SPECIFICATION_DASHES,
    SPECIFICATION_MARKERS,
    apply_style,
    mark_absent,
)
from taskvectors.render.captions import sample_sentence
from taskvectors.render.drawn import write_figure
from taskvectors.render.run import Run
from taskvectors.study.metrics import mark, matches
from taskvectors.study.predictions import ENSEMBLE, read_predictions, split_samples

DRAWN = "paper, case-insensitive"
METRICS = (DRAWN, "paper", "strict")
LABELS = {
    "text_icl": "exemplar xpatch",
    ENSEMBLE: "instruction + exemplar xpatch",
    "instruction": "instruction xpatch",
}


def marked(predictions: pd.DataFrame) -> pd.DataFrame:
    """Predictions with a column per metric, and one for the paper's without regard to case."""
    pairs = zip(predictions["token"], predictions["label"], strict=True)
    caseless = [matches(token.lower(), label.lower()) for token, label in pairs]
    return mark(predictions).assign(**{DRAWN: caseless})


def figure_8_data(test: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    """Test accuracy on image queries per model, specification, samples and metric.

    ``test`` has the patched predictions of all models and tasks. Accuracies are averaged over
    tasks per seed; mean, least and greatest are over seeds. A point that lacks a task is left
    out; the instruction has neither samples nor seeds.
    """
    asked = marked(test[test["query_modality"] == "image"])
    split = asked["specification"].map(split_samples)
    asked = asked.assign(
        specification=[name for name, _ in split], samples=[samples for _, samples in split]
    )
    shown = asked["samples"].notna() | (asked["specification"] == "instruction")
    keys = ["model", "specification", "samples"]
    by_task = asked[shown].groupby([*keys, "seed", "task"], dropna=False)[list(METRICS)].mean()
    per_seed = by_task.groupby([*keys, "seed"], dropna=False)
    whole = per_seed.mean()[per_seed.size() == len(tasks)].reset_index("seed")
    long = whole.melt("seed", var_name="metric", value_name="accuracy", ignore_index=False)
    grouped = long.groupby([*keys, "metric"], dropna=False)["accuracy"]
    data = grouped.agg(accuracy="mean", least="min", greatest="max").reset_index()
    seeds = long.groupby([*keys, "metric"], dropna=False)["seed"].nunique().reset_index()
    return data.merge(seeds.rename(columns={"seed": "seeds"}), on=[*keys, "metric"])


def draw_figure_8(data: pd.DataFrame, models: list[str]) -> Figure:
    """A panel per model: a line per specification with a band from worst to best seed."""
    apply_style()
    figure, axes = plt.subplots(
        1, len(models), figsize=(2.6 * len(models) + 0.6, 2.4), sharey=True, squeeze=False
    )
    drawn = data[data["metric"] == DRAWN]
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
        mark_absent(axis, "not measured")
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
    part = data[(data["metric"] == DRAWN) & (data["model"] == model)]
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


def render_figure_8(run: Run) -> None:
    """Write the figure from the test predictions of all models."""
    tables = [
        read_predictions([run.of("write", model, task) / "test.parquet" for task in run.tasks])
        for model in run.models
    ]
    test = pd.concat(tables)
    data = figure_8_data(test, run.tasks)
    samples = []
    for model in run.models:
        asked = test[(test["model"] == model) & (test["query_modality"] == "image")]
        items = asked.groupby("task")["entity"].nunique().reindex(run.tasks, fill_value=0)
        samples.append(sample_sentence(model, "test", items, asked["seed"].nunique()))
        samples.append(gain_sentence(data, model, run.published()))
    write_figure(run, draw_figure_8(data, run.models), data, samples)


RENDERERS = {"figure_8": render_figure_8}
