"""Table 6: the template ablation, transfer to image queries under each configured template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from taskvectors.render.captions import sample_sentence
from taskvectors.render.run import Run
from taskvectors.render.tables import accuracies, shown, with_difference, write_table
from taskvectors.study.metrics import METRICS

METHODS = ("no_context", "image_icl_base", "text_icl_xbase", "text_icl_xpatch")
# The paper ablates the template that the model's makers recommend.
PAPERS_TEMPLATE = "chat"


def table_6(
    scores: dict[tuple[str, str], pd.DataFrame], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 6. ``scores`` maps a model and a template to its accuracies."""
    rows = []
    for (model, template), table in scores.items():
        for metric in METRICS:
            for method in METHODS:
                named = {"model": model, "template": template, "method": method}
                named |= {"metric": metric, "source": "ours"}
                rows.append({**named, **accuracies(table, method, "image", metric, tasks)})
    columns = ["model", "template", "method", "metric", "source", *tasks, "average"]
    paper = published.assign(template=PAPERS_TEMPLATE, metric="paper", source="paper")
    paper = paper.reindex(columns=columns).to_dict("records")
    keys = ["model", "template", "method", "metric"]
    return with_difference(pd.DataFrame(rows + paper), keys)


def render(run: Run) -> None:
    """Write Table 6."""
    scores, samples = {}, []
    for model in run.models:
        for template in run.templates:
            folder = replace(run, template=template).of("score", model)
            scores[model, template] = pd.read_csv(folder / "accuracy.csv")
        scored = scores[model, run.templates[0]]
        asked = scored[(scored["metric"] == "paper") & (scored["method"] == "text_icl_xpatch")]
        items = asked.set_index("task")["items"].reindex(run.tasks)
        samples.append(sample_sentence(model, "test", items, asked["seeds"].max()))
    table = table_6(scores, run.published(), run.tasks)
    write_table(table, shown(table), run.caption(samples), run.out)


RENDERERS = {"table_6": render}
