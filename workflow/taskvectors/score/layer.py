"""``python -m taskvectors.score.layer``: one layer per model, chosen on the validation split.

The layer is where patching text ICL vectors into image queries is most often right under the
paper's metric, averaged over all tasks (paper, section 3); every patched method is then
tested at that layer.
"""

import logging
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.base.frames import write_frame
from taskvectors.study.metrics import METRICS, judged
from taskvectors.study.predictions import read_predictions

log = logging.getLogger("taskvectors")
METRIC = "paper"
METHODS = ("text_icl_xpatch", "text_icl_patch")  # the second for models without images


def by_layer(validation: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy per method, query modality, task, seed and layer, one metric a row.

    ``layer`` is missing for prompting, which patches none; ``items`` is how many were asked.
    """
    keys = ["method", "query_modality", "task", "seed", "layer"]
    grouped = judged(validation).groupby(keys, dropna=False)
    table = grouped[list(METRICS)].mean().assign(items=grouped.size()).reset_index()
    return table.melt([*keys, "items"], var_name="metric", value_name="accuracy")


def choose_layer(layers: pd.DataFrame, tasks: list[str]) -> dict:
    """The chosen layer and how it did; of equally good layers the first.

    Raises `UserError` where a task has no prediction of the method that chooses.
    """
    patched = layers[(layers["metric"] == METRIC) & layers["layer"].notna()]
    method = METHODS[0] if METHODS[0] in set(patched["method"]) else METHODS[1]
    chosen = patched[patched["method"] == method]
    missing = [task for task in tasks if task not in set(chosen["task"])]
    if missing:
        raise UserError(
            f"no validation prediction of {method} for {', '.join(missing)}; run `write` for them."
        )
    average = chosen.groupby(["layer", "task"])["accuracy"].mean().groupby("layer").mean()
    layer = int(average.index[average.argmax()])
    return {
        "layer": layer,
        "layers": len(average),
        "method": method,
        "metric": METRIC,
        "validation_accuracy": float(average[layer]),
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--predictions", required=True, type=Path, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    predictions = read_predictions(args.predictions)
    layers = by_layer(predictions[predictions["split"] == "validation"])
    chosen = choose_layer(layers, args.tasks)
    write_frame(args.out / "by_layer.csv", layers)
    write_json(args.out / "layer.json", chosen)
    log.info("chose layer %d of %d", chosen["layer"], chosen["layers"])


if __name__ == "__main__":
    run_command(main)
