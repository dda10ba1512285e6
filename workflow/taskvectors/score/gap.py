"""``python -m taskvectors.score.gap``: the gap between a model's modalities, and what it does.

For one model: how it sees (`taskvectors.score.sight`, ``naming.json``), how far its image tokens
are from text, how alike text and image ICL evolve, and what prompting and patching earn on image
queries above the best constant answer. `table_gap` puts models beside each other that differ in
their vision side alone.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json
from taskvectors.base.frames import read_by_task, read_frame, write_frame
from taskvectors.score.evolution import phase_correlations
from taskvectors.study.metrics import METRICS

log = logging.getLogger("taskvectors")
METHODS = ("image_icl_base", "text_icl_xbase", "image_icl_patch", "text_icl_xpatch")
COLUMNS = ["measure", "of", "value", "low", "high", "name", "constant", "items"]


def seen(sight: pd.DataFrame, naming: dict[str, Any]) -> list[dict[str, Any]]:
    """What the model sees: each number of images, with the written ``name``'s beside it."""
    rows = [
        {"measure": "naming, among the names trained on", "of": entity_set, **found}
        for entity_set, found in naming["held_out"].items()
    ]
    closed = pd.DataFrame(rows).rename(columns={"accuracy": "value", "images": "items"})
    keys = ["measure", "of"]
    written = sight[sight["modality"] == "text"].set_index(keys)["value"].rename("name")
    images = sight[sight["modality"] == "image"].join(written, on=keys)
    return pd.concat([closed, images]).to_dict("records")


def likeness(phases: pd.DataFrame) -> dict[str, Any]:
    """Correlation of text and image ICL, averaged over seeds and tasks.

    ``phases`` are of every task and seed.
    """
    by_task = phase_correlations(phases).groupby("task").mean()
    return {
        "measure": "phases",
        "of": "correlation of text and image ICL",
        "value": by_task.mean(),
        "items": len(by_task),
    }


def earned(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Accuracy on image queries above the best constant answer, and how many answers differ."""
    rows = []
    asked = scores[(scores["query_modality"] == "image") & (scores["task"] == "average")]
    first = asked[asked["metric"] == METRICS[0]].set_index("method")
    for method, found in first.loc[list(METHODS)].iterrows():
        bounds = {"low": found["excess_low"], "high": found["excess_high"]}
        counted = {"of": method, "items": found["items"]}
        rows += [
            {"measure": "accuracy above a constant", "value": found["excess"], **bounds, **counted},
            {"measure": "distinct answers", "value": found["distinct"], **counted},
        ]
    return rows


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--model", required=True, type=Path, help="for its naming.json")
    parser.add_argument("--sight", required=True, type=Path)
    parser.add_argument("--phases", required=True, type=Path, nargs="+", help="one of each task")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--scores", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    rows = [
        *seen(read_frame(args.sight), read_json(args.model / "naming.json")),
        likeness(read_by_task(args.phases, args.tasks)),
        *earned(read_frame(args.scores)),
    ]
    write_frame(args.out, pd.DataFrame(rows).reindex(columns=COLUMNS))
    log.info("%d measures", len(rows))


if __name__ == "__main__":
    run_command(main)
