"""The paper's own numbers behind each claim, by the rule that ours are measured by."""

import pandas as pd

from taskvectors.score.evidence import Claim, NotMeasured
from taskvectors.score.measures_layers import noise_by_task, same_top_share
from taskvectors.study.tables import published_methods


def published_numbers(claim: Claim, published: dict[str, pd.DataFrame]) -> dict[str, float]:
    """The paper's numbers of a claim by model; none where the paper prints none.

    ``published`` are the tables of ``resources/paper`` by their names.
    """
    if "published" not in claim:
        return {}
    table = published[claim["published"]]
    if claim["published"] == "figure_8":
        return dict(zip(table["model"], table["gain"], strict=True))
    if claim["measure"] == "depth":
        paradigms = published["table_5"].set_index("model")["paradigm"]
        table = table[table["model"].map(paradigms) == claim["paradigm"]]
        return dict(zip(table["model"], table["layer"] / table["layers"], strict=True))
    rules = {
        "difference": _difference,
        "table": _table,
        "same_top": lambda claim, rows: same_top_share(rows, claim["tasks"]),
        "noise": lambda claim, rows: noise_by_task(rows).mean(),
    }
    found = {}
    for model in table["model"].unique():
        rows = table[table["model"] == model]
        everyone = table[table["model"] == "-"]
        try:
            number = rules[claim["measure"]](claim, pd.concat([rows, everyone]))
        except NotMeasured:
            continue
        found[model] = round(float(number), 4)
    return {model: number for model, number in found.items() if model != "-"}


def _difference(claim: Claim, rows: pd.DataFrame) -> float:
    if "icl_modality" in rows:
        rows = published_methods(rows)
    if "query_modality" in rows:
        rows = rows[rows["query_modality"] == claim["query"]]
    averages = rows.set_index("method")["average"]
    others = [averages[name] for name in claim["right"] if name in averages]
    if claim["left"] not in averages or not others:
        raise NotMeasured("the paper has no such row")
    return averages[claim["left"]] - max(others)


def _table(claim: Claim, rows: pd.DataFrame) -> float:
    numbers = rows.set_index("method")[claim["column"]].dropna()
    left, right = (claim[side]["method"] for side in ("left", "right"))
    if not {left, right} <= set(numbers.index):
        raise NotMeasured("the paper has no such row")
    return numbers[left] - numbers[right]
