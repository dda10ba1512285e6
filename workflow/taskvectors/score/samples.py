"""``python -m taskvectors.score.samples``: accuracy by number of samples, for Figure 8.

Of exemplar vectors, the instruction's and ensembles of both, patched into image queries.
"""

import logging
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.score.bootstrap import RANGE_OF_SEEDS
from taskvectors.study.metrics import CASELESS, METRICS, judged_caseless
from taskvectors.study.predictions import read_predictions
from taskvectors.study.vectors import split_samples

log = logging.getLogger("taskvectors")


def sample_accuracies(test: pd.DataFrame, tasks: list[str]) -> pd.DataFrame:
    """Test accuracy on image queries per specification, samples and metric.

    ``test`` has one model's patched predictions of all tasks. Accuracies are averaged over
    tasks per seed; mean, least and greatest are over seeds. A point that lacks a task is left
    out; the instruction has neither samples nor seeds.
    """
    asked = judged_caseless(test[test["query_modality"] == "image"])
    split = asked["specification"].map(split_samples)
    asked = asked.assign(
        specification=[name for name, _ in split], samples=[samples for _, samples in split]
    )
    shown = asked["samples"].notna() | (asked["specification"] == "instruction")
    keys, metrics = ["specification", "samples"], [CASELESS, *METRICS]
    by_task = asked[shown].groupby([*keys, "seed", "task"], dropna=False)[metrics].mean()
    per_seed = by_task.groupby([*keys, "seed"], dropna=False)
    whole = per_seed.mean()[per_seed.size() == len(tasks)].reset_index("seed")
    long = whole.melt("seed", var_name="metric", value_name="accuracy", ignore_index=False)
    grouped = long.groupby([*keys, "metric"], dropna=False)
    table = grouped.agg(
        accuracy=("accuracy", "mean"),
        least=("accuracy", "min"),
        greatest=("accuracy", "max"),
        seeds=("seed", "nunique"),
    )
    return table.assign(interval=RANGE_OF_SEEDS).reset_index()


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    table = sample_accuracies(read_predictions(args.predictions), args.tasks)
    write_frame(args.out, table)
    log.info("%d accuracies", len(table))


if __name__ == "__main__":
    run_command(main)
