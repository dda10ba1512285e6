"""``python -m taskvectors.score.curves``: validation accuracy by layer, for Figure 11.

Of text ICL on image queries: patched at each layer, and given in context.
"""

import logging
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import read_frame, write_frame
from taskvectors.score.bootstrap import RANGE_OF_SEEDS
from taskvectors.score.layer import METRIC, by_layer
from taskvectors.study.predictions import read_predictions

log = logging.getLogger("taskvectors")
METHODS = ("text_icl_xpatch", "text_icl_xbase")


def curves(accuracies: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    """Mean, least and greatest accuracy over seeds per task, method and layer, by the paper's
    metric; ``items`` and ``seeds`` say over how many.

    ``accuracies`` are as `by_layer` makes them; the layer is missing for prompting.
    """
    shown = accuracies["method"].isin(METHODS) & (accuracies["metric"] == METRIC)
    chosen = accuracies[shown & accuracies["task"].isin(tasks)]
    order = pd.Categorical(chosen["task"], categories=tasks)
    grouped = chosen.assign(task=order).groupby(
        ["task", "method", "layer"], dropna=False, observed=True
    )
    table = grouped.agg(
        accuracy=("accuracy", "mean"),
        least=("accuracy", "min"),
        greatest=("accuracy", "max"),
        items=("items", "first"),
        seeds=("seed", "nunique"),
    )
    return table.assign(interval=RANGE_OF_SEEDS).reset_index()


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--by-layer", required=True, type=Path, help="of the patched answers")
    parser.add_argument("--baselines", required=True, type=Path, nargs="+", help="predictions")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    baselines = read_predictions(args.baselines)
    prompted = by_layer(baselines[baselines["split"] == "validation"])
    table = curves(pd.concat([read_frame(args.by_layer), prompted]), args.tasks)
    write_frame(args.out, table)
    log.info("%d points", len(table))


if __name__ == "__main__":
    run_command(main)
