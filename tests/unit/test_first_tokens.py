"""How labels begin: what is counted, and what captions say of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from taskvectors.base.frames import read_frame, write_frame
from taskvectors.render.captions import caveats
from taskvectors.score.accuracy import score
from taskvectors.score.answers import Answers
from taskvectors.score.bootstrap import Bootstrap
from taskvectors.study.constant import best_constant
from taskvectors.study.first_tokens import FirstTokens, count_first_tokens
from taskvectors.study.metrics import METRICS, judged

YEARS = [str(year) for year in range(1850, 1890)]


def test_labels_that_share_what_is_judged_of_them_are_counted():
    labels = ["Bern", "Bonn", "Rome", "Rome", "กรุงเทพ"]
    found = count_first_tokens(labels, [(7,), (7,), (2,), (2,), (1, 2, 3)])
    assert found == FirstTokens(4, 3, 2, 1, 2, 0.4)
    (said,) = found.caveats()
    assert said.startswith("1 of 4 labels have a first token that shows no text")


@pytest.mark.parametrize(
    ("labels", "judged_ids", "said"),
    [
        (YEARS, [(1,)] * 40, "all 40 labels begin with the same token, which is right for 100%"),
        (
            [*YEARS, "1900", "2000"],
            [(1,)] * 41 + [(2,)],
            "41 of 42 labels begin with the same token, which is right for 98%",
        ),
        (["red"] * 9 + ["blue"], [(1,)] * 9 + [(2,)], None),  # one label, whatever it begins with
        (["Bern", "Bonn", "Rome", "Oslo", "Lima"], [(1,), (1,), (2,), (3,), (4,)], None),
    ],
)
def test_a_caveat_is_said_where_most_items_have_different_labels_that_begin_alike(
    labels, judged_ids, said
):
    found = count_first_tokens(labels, judged_ids).caveats()
    assert found == [] if said is None else found[0].startswith(said)


def answered(labels: list[str], first: list[int]) -> pd.DataFrame:
    """Right answers of one method to as many items."""
    table = pd.DataFrame({"label": labels, "label_token_id": first})
    table = table.assign(label_token_ids=table["label_token_id"].astype(str), label_token="1")
    table = table.assign(token="1", token_ids=table["label_token_ids"], entity=labels, task="year")
    return table.assign(
        method="m", query_modality="text", seed=np.nan, forced_boundary=False, split="test"
    )


def test_captions_say_so_of_the_tasks_of_which_it_is_true_only():
    alike = answered(YEARS, [1] * 40)
    apart = answered(YEARS, list(range(40))).assign(task="other")
    table = score(Answers(judged(pd.concat([alike, apart])), ["year", "other"], Bootstrap(100, 0)))
    year = table[table["task"] == "year"].iloc[0]
    assert (year["labels"], year["alike"], year["alike_items"]) == (40, 40, 1.0)
    counted, said = caveats({"tiny": table})
    assert counted == "tiny: labels whose first token is another's, too: year 40 of 40."
    assert said == (
        "tiny, year: all 40 labels begin with the same token, which is right for 100% of the items "
        "whatever is asked, so that strict and paper say nothing about them."
    )
    assert caveats({"tiny": table[table["task"] == "other"]}) == []


def test_captions_count_labels_that_begin_as_others_do_or_with_no_text(tmp_path):
    items = answered(["Bern", "Bonn", "Rome", "กรุง"], [1, 1, 2, 3])
    items.loc[3, "label_token_ids"] = "3 4 5"
    write_frame(tmp_path / "a.csv", score(Answers(judged(items), ["year"], Bootstrap(100, 0))))
    assert caveats({"tiny": read_frame(tmp_path / "a.csv")}) == [
        "tiny: labels whose first token is another's, too: year 2 of 4.",
        "tiny: labels judged by more than the first token, which shows no text: year 1 of 4.",
        "tiny, year: 2 of 4 labels begin with the same token, which is right for 50% of the items "
        "whatever is asked, so that strict and paper say little about them.",
    ]


def test_the_best_constant_is_what_one_answer_earns():
    items = answered(["Bern", "Bonn", "Rome", "Oslo"], [1, 1, 2, 3])
    items["label_token"] = ["B", "B", "Rome", "Oslo"]
    assert [best_constant(items, metric) for metric in METRICS] == [0.5, 0.5]
