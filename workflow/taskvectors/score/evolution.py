"""``python -m taskvectors.score.evolution``: how the output evolves through the layers.

For Figures 3 and 4 (paper, section 2.3 and A.4): what `taskvectors.score.decode` wrote for each
task and seed, as one table for all.
"""

import logging
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import read_by_task, write_frame
from taskvectors.score.bootstrap import RANGE_OF_SEEDS

log = logging.getLogger("taskvectors")
KEYS = ["task", "specification", "layer"]


def phase_means(phases: pd.DataFrame) -> pd.DataFrame:
    """Mean probability by layer, and the least and greatest mean of a seed.

    ``sets`` counts the exemplar sets of all seeds together.
    """
    weighted = phases.assign(total=phases["probability"] * phases["sets"])
    grouped = weighted.groupby(["task", "specification", "phase", "layer"], sort=False)
    table = grouped.agg(
        total=("total", "sum"),
        sets=("sets", "sum"),
        least=("probability", "min"),
        greatest=("probability", "max"),
    ).reset_index()
    table.insert(4, "probability", table.pop("total") / table["sets"])
    return table.assign(interval=RANGE_OF_SEEDS)


def phase_correlations(phases: pd.DataFrame) -> pd.Series:
    """Correlation, over layers and phases, of text and image ICL, by task and seed.

    Each seed is correlated with itself, so that the number does not grow with the number of seeds,
    whose noise would cancel in their means. Empty where the model does not take both.
    """
    keys = ["task", "seed"]
    about = [*keys, "phase", "layer"]
    wide = phases.pivot(index=about, columns="specification", values="probability")
    both = wide.reindex(columns=["text_icl", "image_icl"]).dropna()
    alike = {name: part["text_icl"].corr(part["image_icl"]) for name, part in both.groupby(keys)}
    index = pd.MultiIndex.from_tuples(alike, names=keys)
    return pd.Series(list(alike.values()), index, dtype=float)


def top_shares(tops: pd.DataFrame) -> pd.DataFrame:
    """Top-1 decodings of exemplar sets by layer, as counts and shares, the commonest first.

    ``least`` and ``greatest`` are a token's shares of single seeds' sets. An instruction has one
    set and no seed, and is left out.
    """
    named = tops.assign(token=tops["token"].fillna(""))  # a token may have no text
    token = [*KEYS, "token_id", "token", "word"]
    by_seed = named.pivot_table("sets", token, "seed", aggfunc="sum", fill_value=0)
    shares = by_seed / by_seed.groupby(KEYS).transform("sum")
    counts = {"count": by_seed.sum(axis=1).astype(int)}
    bounds = {"least": shares.min(axis=1), "greatest": shares.max(axis=1)}
    bounds |= {"interval": RANGE_OF_SEEDS}
    table = pd.DataFrame(counts | bounds).reset_index()
    table["sets"] = table.groupby(KEYS)["count"].transform("sum")
    table["share"] = table["count"] / table["sets"]
    order = {name: place for place, name in enumerate(tops["task"].unique())}
    by = ["order", "specification", "layer", "count", "token_id"]
    table = table.assign(order=table["task"].map(order))
    return table.sort_values(by, ascending=[True, False, True, False, True]).drop(columns="order")


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--phases", required=True, type=Path, nargs="+", help="one of each task")
    parser.add_argument("--tops", required=True, type=Path, nargs="+", help="one of each task")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    phases = phase_means(read_by_task(args.phases, args.tasks))
    tops = top_shares(read_by_task(args.tops, args.tasks))
    write_frame(args.out / "phases.csv", phases)
    write_frame(args.out / "tops.csv", tops)
    log.info("%d means, %d tokens", len(phases), len(tops))


if __name__ == "__main__":
    run_command(main)
