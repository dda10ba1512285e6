"""The baseline `constant`: one answer to every query of a task, the best that there is.

A patched vector can make a model say its favourite label whatever is asked. What that earns is
here: of the tokens that are judged of labels, those that are right most often on validation.
"""

from collections.abc import Sequence

import pandas as pd

from taskvectors.study.metrics import METRICS, right_for_all

CONSTANT = "constant"
_LABEL = ["label_token_id", "label_token_ids", "label_token"]
_ITEM = ["entity", "label", *_LABEL]


def constant_baseline(
    validation: pd.DataFrame, test: pd.DataFrame, metrics: Sequence[str] = METRICS
) -> pd.DataFrame:
    """The baseline ``constant`` on the test items that ``test`` has answers to.

    ``validation`` and ``test`` are predictions, of which only the items and their labels count.
    Each metric has a constant of its own; of equally good ones it is the one with the lowest
    token id. One number serves queries of every modality. A task without validation items has
    no constant.
    """
    parts = []
    for task, asked in test.groupby("task", sort=False):
        known = validation.loc[validation["task"] == task, _ITEM].drop_duplicates("entity")
        if known.empty:
            continue
        items = asked[_ITEM].drop_duplicates("entity")
        tokens = known[_LABEL].drop_duplicates("label_token_ids")
        tokens = tokens.rename(columns=lambda name: name.removeprefix("label_"))
        tokens = tokens.sort_values(["token_id", "token_ids"])
        rows = pd.DataFrame({"entity": items["entity"], "task": task, "method": CONSTANT})
        rows = rows.assign(query_modality="any", seed=float("nan"))
        for metric in metrics:
            best = right_for_all(tokens, known, metric).mean(axis=1).argmax()
            rows[metric] = right_for_all(tokens.iloc[[best]], items, metric)[0]
        parts.append(rows)
    return pd.concat(parts) if parts else pd.DataFrame()
