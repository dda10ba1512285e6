"""Task overriding by kind of conflict: patched, in the system prompt, and not contradicted."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.base.figures import apply_style
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.outcomes import draw_outcomes, outcome_legend
from taskvectors.render.printed import write_table
from taskvectors.study.overriding import METHODS
from taskvectors.study.tables import OUTCOMES, as_printed, outcome_columns

KEYS = ["model", "kind", "method"]
DIFFERENCE = ["difference", "difference_low", "difference_high"]
BESIDE = ["low", "high"]


def overriding_table(shares: pd.DataFrame) -> pd.DataFrame:
    """A row per model, kind and method: each outcome's share with its interval, and how much more
    often patching has its way than the system prompt."""
    wide = shares.pivot(index=KEYS, columns="outcome", values=["share", *BESIDE])
    rows = shares[shares["outcome"] == "patch"][[*KEYS, "interval", "prompts", *DIFFERENCE]]
    return rows.merge(outcome_columns(wide, BESIDE), on=KEYS, validate="one_to_one")


def printed_overriding(table: pd.DataFrame) -> pd.DataFrame:
    """The table as it is printed."""
    printed = table[[*KEYS, "prompts"]].copy()
    for outcome in OUTCOMES:
        printed[outcome] = [
            f"{row[outcome]:.2f} [{row[f'{outcome}_low']:.2f}, {row[f'{outcome}_high']:.2f}]"
            for row in table.to_dict("records")
        ]
    more = [
        "–"
        if pd.isna(row["difference"])
        else "{} [{}, {}]".format(*(as_printed(row[name], signed=True) for name in DIFFERENCE))
        for row in table.to_dict("records")
    ]
    return printed.assign(**{"patch above system prompt": more})


def draw_overriding(shares: pd.DataFrame, models: Sequence[str]) -> Figure:
    """A row of panels per model, a panel per kind of conflict and their average."""
    apply_style()
    kinds = list(dict.fromkeys(shares["kind"]))
    figure, axes = plt.subplots(
        len(models),
        len(kinds),
        figsize=(1.45 * len(kinds) + 1.0, 1.1 * len(models) + 0.6),
        sharex=True,
        squeeze=False,
    )
    ends = {"method": "way", "low": "least", "high": "greatest"}
    for line, model in zip(axes, models, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            part = shares[(shares["model"] == model) & (shares["kind"] == kind)]
            draw_outcomes(axis, part.rename(columns=ends), METHODS)
            axis.tick_params(labelleft=axis is line[0])
        line[0].set_ylabel(model)
    for axis, kind in zip(axes[0], kinds, strict=True):
        axis.set_title("average of kinds" if kind == "average" else kind, fontsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("share of prompts")
    outcome_legend(figure)
    figure.tight_layout()
    return figure


def judge_sentence(model: str, shares: pd.DataFrame) -> str:
    """How many prompts of each kind there are, and how far the judging model is to be trusted."""
    one = shares[(shares["model"] == model) & (shares["kind"] != "average")]
    counts = one.groupby("kind", sort=False)["prompts"].first()
    prompts = ", ".join(f"{kind} {count}" for kind, count in counts.items())
    judge = one.iloc[0]
    trust = (
        f"; where no rule can tell, {judge['judge']} judges, which is right about "
        f"{judge['right']} of {judge['known']} texts whose answer is known"
        if judge["known"]
        else ""
    )
    return f"{model}: prompts {prompts}{trust}."


def render_table(item: ShownItem) -> None:
    """Write the table of all models."""
    shares = item.joined("scores")
    table = overriding_table(shares)
    samples = [judge_sentence(model, shares) for model in item.models]
    write_table(table, printed_overriding(table), item.caption(samples), item.out)


def render_figure(item: ShownItem) -> None:
    """Write the figure, with the shares as its data."""
    shares = item.joined("scores")
    samples = [judge_sentence(model, shares) for model in item.models]
    write_figure(item, [draw_overriding(shares, item.models)], shares, samples)


if __name__ == "__main__":
    render_command(__doc__, {"table_overriding": render_table, "figure_overriding": render_figure})
