"""Accuracies of function vectors, beside task vectors and prompting, and of composed vectors."""

import pandas as pd

from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.render.tables import shown
from taskvectors.study.heads import FUNCTION, INJECT, SPECIFICATIONS
from taskvectors.study.metrics import METRICS
from taskvectors.study.predictions import method_name
from taskvectors.study.tables import accuracies
from taskvectors.study.vectors import COMPOSED

QUERIES = ("image", "text")
# method, query modality
FUNCTION_VECTORS = [
    (method_name(specification, query, way), query)
    for query in QUERIES
    for specification in SPECIFICATIONS
    for way in ("base", "patch", INJECT, FUNCTION)
]
COMPOSITION = [
    (method_name(specification, query, way), query)
    for query in QUERIES
    for way in ("patch", FUNCTION)
    for specification in (*SPECIFICATIONS, COMPOSED)
]
METHODS = {"table_function_vectors": FUNCTION_VECTORS, "table_composition": COMPOSITION}
# Whose queries the caption counts: all methods', or those of tasks that have a composed vector.
COUNTED = {
    "table_function_vectors": "",
    "table_composition": method_name(COMPOSED, "image", "patch"),
}


def render_accuracies(item: ShownItem) -> None:
    """Write the item's methods with their accuracies by task and on average, model by model."""
    scores = item.frames("scores")
    rows = [
        {
            "model": model,
            "method": method,
            "query_modality": query,
            "metric": metric,
            **accuracies(scored, method, query, metric, item.tasks),
        }
        for model, scored in scores.items()
        for metric in METRICS
        for method, query in METHODS[item.name]
    ]
    table = pd.DataFrame(rows)
    samples = [
        asked_sentence(model, scored, item.tasks, COUNTED[item.name])
        for model, scored in scores.items()
    ]
    samples += caveats(scores)
    write_table(table, shown(table), item.caption(samples), item.out)


if __name__ == "__main__":
    render_command(__doc__, dict.fromkeys(METHODS, render_accuracies))
