"""``python -m taskvectors.score.layer``: one layer per model, chosen on the validation split.

The layer is where patching text ICL vectors into image queries is most often right under the
paper's metric, averaged over all tasks (paper, section 3); every patched method is then
tested at that layer.
"""

import logging
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.base.frames import write_frame
from taskvectors.study.metrics import METRICS, judged
from taskvectors.study.predictions import method_name, read_predictions

log = logging.getLogger("taskvectors")
METRIC = "paper"


def by_layer(validation: pd.DataFrame) -> pd.DataFrame:
    """Validation accuracy per method, query modality, task, seed and layer, one metric a row.

    ``layer`` is missing for prompting, which patches none; ``items`` is how many were asked.
    """
    keys = ["method", "query_modality", "task", "seed", "layer"]
    grouped = judged(validation).groupby(keys, dropna=False)
    table = grouped[list(METRICS)].mean().assign(items=grouped.size()).reset_index()
    return table.melt([*keys, "items"], var_name="metric", value_name="accuracy")


def choose_place(
    validation: pd.DataFrame, way: str, tasks: list[str], by: list[str], stage: str
) -> tuple[pd.Series, dict[str, Any]]:
    """The average accuracy of vectors written in one ``way`` at each place, a value of the columns
    ``by``, and how the best did; of equally good places the first.

    Raises `UserError` where a task has no prediction of the method that chooses: ``stage`` makes
    them.
    """
    shown = validation[validation["metric"] == METRIC]
    # The second is for models without images.
    crossed, own = (method_name("text_icl", modality, way) for modality in ("image", "text"))
    method = crossed if crossed in set(shown["method"]) else own
    chosen = shown[shown["method"] == method]
    missing = [task for task in tasks if task not in set(chosen["task"])]
    if missing:
        raise UserError(
            f"no validation prediction of {method} for {', '.join(missing)}; "
            f"run `{stage}` for them."
        )
    average = chosen.groupby([*by, "task"])["accuracy"].mean().groupby(by).mean()
    best = float(average.max())
    return average, {"method": method, "metric": METRIC, "validation_accuracy": best}


def choose_layer(layers: pd.DataFrame, tasks: list[str]) -> dict[str, Any]:
    """The layer where vectors are put in place, and how it did, as in `choose_place`."""
    average, about = choose_place(layers, "patch", tasks, ["layer"], "write")
    return {"layer": int(average.idxmax()), "layers": len(average), **about}


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
