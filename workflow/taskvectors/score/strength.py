"""``python -m taskvectors.score.strength``: where vectors are added, and how strongly.

The layer and the strength are those at which adding text ICL vectors to image queries is most
often right on the validation split under the paper's metric, averaged over all tasks: as
`taskvectors.score.layer` chooses where vectors are put in place. Task vectors and function vectors
choose for themselves.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import write_json
from taskvectors.base.frames import write_frame
from taskvectors.score.layer import choose_place
from taskvectors.study.heads import FUNCTION, INJECT, read_injections
from taskvectors.study.metrics import METRICS, judged

log = logging.getLogger("taskvectors")


def by_strength(validation: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy per method, query modality, task, layer and strength, one metric a row;
    ``items`` is how many were asked."""
    # Parquet has strengths in four bytes: they are named as they were configured.
    named = judged(validation).assign(strength=validation["strength"].astype(str).astype(float))
    keys = ["method", "query_modality", "task", "layer", "strength"]
    grouped = named.groupby(keys)
    table = grouped[list(METRICS)].mean().assign(items=grouped.size()).reset_index()
    columns = {"var_name": "metric", "value_name": "accuracy"}
    return table.melt([*keys, "items"], **columns)[[*keys, "metric", "accuracy", "items"]]


def choose_injection(strengths: pd.DataFrame, way: str, tasks: list[str]) -> dict[str, Any]:
    """The layer and strength for vectors that are added in this ``way``, and how they did, as in
    `choose_place`: of equally good ones the first layer, and there the least strength.
    """
    average, about = choose_place(strengths, way, tasks, ["layer", "strength"], "heads")
    layer, strength = average.idxmax()
    return {"layer": int(layer), "strength": float(strength), **about}


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+", help="injections")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    injections = read_injections(args.predictions)
    strengths = by_strength(injections[injections["split"] == "validation"])
    chosen = {way: choose_injection(strengths, way, args.tasks) for way in (FUNCTION, INJECT)}
    write_frame(args.out / "by_strength.csv", strengths)
    write_json(args.out / "injection.json", chosen)
    log.info("chose %s", chosen)


if __name__ == "__main__":
    run_command(main)
