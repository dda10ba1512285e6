"""Tables 4 and 7: task vectors of a language model patched into the VLM that grew from it."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from taskvectors.base.files import read_json
from taskvectors.render.captions import asked_sentence, caveats
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import write_table
from taskvectors.render.tables import shown, with_constant, with_difference
from taskvectors.study.tables import table_4_rows, table_7_rows

# By VLM: our accuracies of its own vectors, and of its language model's.
Scores = dict[str, tuple[pd.DataFrame, pd.DataFrame]]


def table_4(
    scores: Scores,
    similarity: dict[str, pd.DataFrame],
    published: pd.DataFrame,
    tasks: Sequence[str],
) -> pd.DataFrame:
    """Table 4: similarity of the vectors, and average accuracy on image queries.

    The paper's baseline is Idefics2's, ours each VLM's.
    """
    rows = [
        row
        for model, (own, transferred) in scores.items()
        for row in table_4_rows(model, own, transferred, similarity[model], tasks)
    ]
    paper = published.assign(metric="paper", source="paper").to_dict("records")
    table = with_difference(pd.DataFrame(rows + paper), ["model", "method", "metric"])
    return with_constant(table, {model: own for model, (own, _) in scores.items()}, tasks)


def table_7(scores: Scores, published: pd.DataFrame, tasks: Sequence[str]) -> pd.DataFrame:
    """Table 7: accuracy by task. The paper has image queries only."""
    rows = [row for model, both in scores.items() for row in table_7_rows(model, *both, tasks)]
    columns = ["model", "method", "query_modality", "metric", "source", *tasks, "average"]
    paper = published.assign(query_modality="image", metric="paper", source="paper")
    table = pd.DataFrame(rows + paper.reindex(columns=columns).to_dict("records"))
    table = with_difference(table, ["model", "method", "query_modality", "metric"])
    return with_constant(table, {model: own for model, (own, _) in scores.items()}, tasks)


def pair_sentence(model: str, reader: str, chosen: dict[str, Any], own: dict[str, Any]) -> str:
    """Which language model's vectors were patched into the VLM, and at which layer.

    ``chosen`` is the ``layer.json`` of the VLM's vectors, ``own`` that of its language model's.
    """
    return (
        f"The VLM shown is {model}, its language model {reader}; all vectors are patched at layer "
        f"{chosen['layer']} of {chosen['layers']}, where the VLM's own do best on validation "
        f"({chosen['validation_accuracy']:.2f}); those of {reader} do best there at layer "
        f"{own['layer']} ({own['validation_accuracy']:.2f})."
    )


def render_transfer(item: ShownItem) -> None:
    """Write Table 4 or 7; the item's models are VLMs."""
    own, transferred = item.frames("scores"), item.frames("transferred")
    chosen, best = item.by_model("layer"), item.by_model("own_layer")
    sentences = []
    for model, reader in zip(item.models, item.language_models, strict=True):
        layers = read_json(chosen[model]), read_json(best[model])
        sentences.append(pair_sentence(model, reader, *layers))
        sentences.append(asked_sentence(model, own[model], item.tasks, "text_icl_xpatch"))
    sentences += caveats(own)
    sentences += caveats({f"{model}, transfer": one for model, one in transferred.items()})
    scores = {model: (own[model], transferred[model]) for model in item.models}
    if item.name == "table_4":
        table = table_4(scores, item.frames("similarity"), item.published(), item.tasks)
    else:
        table = table_7(scores, item.published(), item.tasks)
    write_table(table, shown(table), item.caption(sentences), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_4": render_transfer, "table_7": render_transfer})
