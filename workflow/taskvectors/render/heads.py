"""Which attention heads carry tasks, by layer, and whether text and images single out the same."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from taskvectors.base.figures import apply_style, say_absent
from taskvectors.render.drawn import write_figure
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.pairs import p_text
from taskvectors.render.printed import write_table
from taskvectors.study.heads import SPECIFICATIONS

TITLES = {"text_icl": "text ICL", "image_icl": "image ICL"}
COLOURS = "Blues"  # from light to dark, so that grey tells effects apart
OUTLINE = "#D55E00"
LISTED = 10  # heads of each specification in the table
COUNTS = ["heads", "top", "shared"]
WIDTHS = (1.8, 1.2, 1.0, 1.3, 1.6, 1.3, 2.6, 5.2, 5.2)


def prompts_sentence(model: str, heads: pd.DataFrame) -> str:
    """Over how many prompts of each specification a model's effects were averaged."""
    prompts = heads.groupby("specification")["prompts"].first()
    counts = ", ".join(f"{name} {prompts[name]}" for name in SPECIFICATIONS if name in prompts)
    return f"{model}: prompts with shuffled labels, over all tasks: {counts}."


def draw_heads(data: pd.DataFrame, models: Sequence[str]) -> Figure:
    """A row of panels per model, a panel per specification; the chosen heads are outlined."""
    apply_style()
    columns = len(SPECIFICATIONS)
    figure, axes = plt.subplots(
        len(models),
        columns,
        figsize=(3.1 * columns, 2.4 * len(models)),
        squeeze=False,
        layout="constrained",
    )
    for line, model in zip(axes, models, strict=True):
        effects = data[data["model"] == model]
        scale = Normalize(effects["effect"].min(), effects["effect"].max())
        for axis, name in zip(line, SPECIFICATIONS, strict=True):
            _draw_panel(axis, effects[effects["specification"] == name], scale)
            axis.set_title(f"{model}, {TITLES[name]}")
        colours = plt.cm.ScalarMappable(scale, COLOURS)
        figure.colorbar(colours, ax=list(line), label="effect on the label's probability")
        line[0].set_ylabel("layer")
    for axis in axes[-1]:
        axis.set_xlabel("head")
    return figure


def _draw_panel(axis: Axes, effects: pd.DataFrame, scale: Normalize) -> None:
    if effects.empty:
        say_absent(axis, "not measured")
        return
    grid = effects.pivot(index="layer", columns="head", values="effect")
    axis.imshow(
        grid, cmap=COLOURS, norm=scale, origin="lower", aspect="auto", interpolation="nearest"
    )
    for head in effects[effects["chosen"]].itertuples():
        corner = head.head - 0.5, head.layer - 0.5
        axis.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=OUTLINE, linewidth=1.0))
    for ticks in (axis.xaxis, axis.yaxis):
        ticks.set_major_locator(MaxNLocator(integer=True))
    axis.grid(visible=False)


def listed_heads(heads: pd.DataFrame, overlap: pd.DataFrame) -> pd.DataFrame:
    """The strongest heads of each model and specification, from strong to weak, each with what
    its model's two specifications share; missing where a model has one specification only."""
    shared = overlap.rename(columns={"low": "spearman_low", "high": "spearman_high"})
    listed = heads[heads["rank"] <= LISTED].sort_values("rank", kind="stable")
    beside = shared.drop(columns=["specification", "other"])
    columns = ["model", "specification", "rank", "layer", "head", "effect", "low", "high"]
    return listed[columns].merge(beside, how="left", on="model")


def printed_heads(table: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """`listed_heads` as it is printed: a row per model."""
    rows = []
    for model in models:
        part = table[table["model"] == model]
        first = part.iloc[0]
        row = {
            "model": model,
            **dict.fromkeys([*COUNTS, "by chance", "p", "rank correlation"], "–"),
        }
        if pd.notna(first["shared"]):
            row |= {name: str(int(first[name])) for name in COUNTS}
            row |= {"by chance": f"{first['expected']:.2f}", "p": p_text(first["p_value"])}
            bounds = f"[{first['spearman_low']:.2f}, {first['spearman_high']:.2f}]"
            row |= {"rank correlation": f"{first['spearman']:.2f} {bounds}"}
        for name in SPECIFICATIONS:
            strongest = part[part["specification"] == name].itertuples()
            texts = [f"({one.layer}, {one.head}) {one.effect:+.3f}" for one in strongest]
            row[name] = ", ".join(texts) or "–"
        rows.append(row)
    return pd.DataFrame(rows)


def render_figure(item: ShownItem) -> None:
    """Write the figure from the effects of all models' heads."""
    samples = [prompts_sentence(model, heads) for model, heads in item.frames("heads").items()]
    data = item.joined("heads")
    write_figure(item, [draw_heads(data, item.models)], data, samples)


def render_table(item: ShownItem) -> None:
    """Write the table from the effects of all models' heads and what their choices share."""
    samples = [prompts_sentence(model, heads) for model, heads in item.frames("heads").items()]
    table = listed_heads(item.joined("heads"), item.joined("overlap"))
    printed = printed_heads(table, item.models)
    write_table(table, printed, item.caption(samples), item.out, WIDTHS)


if __name__ == "__main__":
    render_command(__doc__, {"figure_heads": render_figure, "table_heads": render_table})
