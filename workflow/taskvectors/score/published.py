"""The paper's own numbers behind each claim, by the rule that ours are measured by."""

import pandas as pd

from taskvectors.score.evidence import Claim, NotMeasured
from taskvectors.score.measures_layers import noise_by_task, same_top_share
from taskvectors.study.tables import published_methods

# The paper's names of our methods, where it has others.
NAMED = {
    "table_7": {
        "transferred/text_icl_xpatch": "llm_vlm_xpatch",
        "text_icl_xpatch": "vlm_vlm_xpatch",
    }
}
SIMILARITY = ("llm_vlm_xpatch", "random")


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
        "similarity": lambda claim, rows: _less(rows, "cosine_similarity", *SIMILARITY),
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
    named = NAMED.get(claim["published"], {})
    left, *others = (
        named.get(name, name.rpartition("/")[2]) for name in (claim["left"], *claim["right"])
    )
    known = set(rows["method"])
    found = [_less(rows, "average", left, other) for other in others if other in known]
    if not found:
        raise NotMeasured("the paper has no such row")
    return min(found)


def _less(rows: pd.DataFrame, column: str, left: str, right: str) -> float:
    numbers = rows.set_index("method")[column].dropna()
    if not {left, right} <= set(numbers.index):
        raise NotMeasured("the paper has no such row")
    return numbers[left] - numbers[right]
