"""The baseline `constant`: one answer to every query of a task, the best that there is.

A patched vector can make a model say its favourite label whatever is asked. What that earns is
here: of the first tokens that labels have, the one that is right most often on validation.
"""

from collections.abc import Sequence

import pandas as pd

from taskvectors.study.metrics import METRICS, right_for_all

CONSTANT = "constant"
_ITEM = ["entity", "label", "label_token", "label_token_id"]


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
        tokens = known[["label_token_id", "label_token"]].drop_duplicates("label_token_id")
        tokens = tokens.rename(columns={"label_token_id": "token_id", "label_token": "token"})
        tokens = tokens.sort_values("token_id")
        rows = pd.DataFrame({"entity": items["entity"], "task": task, "method": CONSTANT})
        rows = rows.assign(query_modality="any", seed=float("nan"))
        for metric in metrics:
            best = right_for_all(tokens, known, metric).mean(axis=1).argmax()
            rows[metric] = right_for_all(tokens.iloc[[best]], items, metric)[0]
        parts.append(rows)
    return pd.concat(parts) if parts else pd.DataFrame()
