"""Table 6: the template ablation, transfer to image queries under each configured template."""

from collections.abc import Sequence

import pandas as pd

from taskvectors.base.frames import read_frame
from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.render.tables import shown, with_constant, with_difference
from taskvectors.study.tables import table_6_rows

# The paper ablates the template that the model's makers recommend.
PAPERS_TEMPLATE = "chat"


def table_6(
    scores: dict[str, dict[str, pd.DataFrame]], published: pd.DataFrame, tasks: Sequence[str]
) -> pd.DataFrame:
    """Table 6. ``scores`` maps a model to its accuracies by template."""
    rows = [
        row
        for model, by_template in scores.items()
        for row in table_6_rows(model, by_template, tasks)
    ]
    columns = ["model", "template", "method", "metric", "source", *tasks, "average"]
    paper = published.assign(template=PAPERS_TEMPLATE, metric="paper", source="paper")
    table = pd.DataFrame(rows + paper.reindex(columns=columns).to_dict("records"))
    table = with_difference(table, ["model", "template", "method", "metric"])
    shown_first = {model: next(iter(each.values())) for model, each in scores.items()}
    return with_constant(table, shown_first, tasks)


def render_table_6(item: ShownItem) -> None:
    """Write Table 6."""
    files = item.by("scores", item.models, item.templates)
    scores = {
        model: {name: read_frame(files[model, name]) for name in item.templates}
        for model in item.models
    }
    samples = [
        asked_sentence(model, by_template[item.templates[0]], item.tasks, "text_icl_xpatch")
        for model, by_template in scores.items()
    ]
    for model, by_template in scores.items():
        samples += caveats({f"{model}, {name}": one for name, one in by_template.items()})
    table = table_6(scores, item.published(), item.tasks)
    write_table(table, shown(table), item.caption(samples), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_6": render_table_6})
