"""Table of dense descriptions: image ICL patched into text queries, beside prompting."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from taskvectors.render.captions import sample_sentence
from taskvectors.render.run import Run
from taskvectors.render.tables import accuracies, shown, write_table
from taskvectors.study.metrics import METRICS

METHODS = ("no_context", "text_icl_base", "image_icl_xbase", "image_icl_xpatch")


def descriptions_table(scores: dict[str, pd.DataFrame], tasks: Sequence[str]) -> pd.DataFrame:
    """A row per model, metric and method: accuracy by task, the average and its interval.

    ``scores`` maps a model to its accuracies (`taskvectors.score.accuracy`).
    """
    rows = []
    for model, table in scores.items():
        for metric in METRICS:
            for method in METHODS:
                numbers = accuracies(table, method, "text", metric, tasks)
                rows.append({"model": model, "method": method, "metric": metric, **numbers})
    return pd.DataFrame(rows)


def render_descriptions(run: Run) -> None:
    """Write the table from the scores of all models."""
    scores = {m: pd.read_csv(run.of("score", m) / "descriptions.csv") for m in run.models}
    table = descriptions_table(scores, run.tasks)
    samples = []
    for model, scored in scores.items():
        measured = scored[scored["task"] != "average"]
        items = measured.groupby("task")["items"].max().reindex(run.tasks)
        seeds = measured["seeds"].max() if len(measured) else 0
        samples.append(sample_sentence(model, "described test", items, seeds))
    write_table(table, shown(table), run.caption(samples), run.out)


RENDERERS = {"table_descriptions": render_descriptions}
