"""The baseline `constant`: one answer to every query of a task, the best that there is.

A patched vector can make a model say its favourite label whatever is asked. What that earns is
here: of the tokens that are judged of labels, those that are right most often on validation.
"""

from collections.abc import Sequence

import pandas as pd

from taskvectors.study.metrics import METRICS, right_for_all

CONSTANT = "constant"
MARK = "°"  # of an accuracy that is not above a constant answer's
LABEL = ["label_token_id", "label_token_ids", "label_token"]
_ITEM = ["entity", "label", *LABEL]


def possible(items: pd.DataFrame) -> pd.DataFrame:
    """The answers that the labels of ``items`` are, as far as they are judged."""
    tokens = items[LABEL].drop_duplicates("label_token_ids")
    tokens = tokens.rename(columns=lambda name: name.removeprefix("label_"))
    return tokens.sort_values(["token_id", "token_ids"])


def best_constant(items: pd.DataFrame, metric: str) -> float:
    """The share of ``items`` that the best constant answer is right for; they have ``label`` and
    the columns `LABEL`."""
    return float(right_for_all(possible(items), items, metric).mean(axis=1).max())


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
        tokens = possible(known)
        rows = pd.DataFrame({"entity": items["entity"], "task": task, "method": CONSTANT})
        rows = rows.assign(query_modality="any", seed=float("nan"))
        for metric in metrics:
            best = right_for_all(tokens, known, metric).mean(axis=1).argmax()
            rows[metric] = right_for_all(tokens.iloc[[best]], items, metric)[0]
        parts.append(rows)
    return pd.concat(parts) if parts else pd.DataFrame()
