"""The baseline `random`, which needs no model: the majority label of a query's exemplars."""

from collections import Counter
from pathlib import Path

import pandas as pd

from taskvectors.study.datasets import read_exemplar_sets, read_items


def majority_label(labels: list[str]) -> str:
    """The commonest of the exemplars' labels; of equally common ones the first in the prompt."""
    return Counter(labels).most_common(1)[0][0]


def random_baseline(dataset: Path) -> pd.DataFrame:
    """The baseline ``random`` on the test split: the majority label of a query's exemplars.

    It needs no model, so both metrics compare whole labels, and one number serves queries
    of every modality.
    """
    items = {item.entity: item for item in read_items(dataset / "test.jsonl")}
    rows = []
    for drawn in read_exemplar_sets(dataset / "exemplars.jsonl"):
        if drawn.split != "test":
            continue
        item = items[drawn.query]
        right = majority_label([items[name].label for name in drawn.exemplars]) == item.label
        rows.append(
            {
                "task": item.task,
                "method": "random",
                "query_modality": "any",
                "seed": drawn.seed,
                "entity": item.entity,
                "paper": right,
                "strict": right,
            }
        )
    return pd.DataFrame(rows)
