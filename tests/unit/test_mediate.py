"""Prompts with shuffled labels: whose labels they are, and when there are too few."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.heads.mediate import shuffled_sets
from taskvectors.study.datasets import Item
from taskvectors.study.heads import shuffled


def items(labels: list[str]) -> list[Item]:
    return [Item("t", "validation", f"e{n}", "", label) for n, label in enumerate(labels)]


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=8).filter(lambda one: len({*one}) > 1))
def test_shuffled_labels_are_the_same_labels_in_another_order(labels):
    found = shuffled(labels, random.Random(0))
    assert sorted(found) == sorted(labels)
    assert found != labels


def test_labels_that_are_all_alike_cannot_be_shuffled():
    with pytest.raises(ValueError, match="3 labels that are all alike"):
        shuffled(["a"] * 3, random.Random(0))


def test_sets_ask_the_items_in_turn_and_show_others_with_each_others_labels():
    asked = items(list("abcde"))
    sets = shuffled_sets("t", asked, 7, 3, seed=0)
    assert [drawn.query for drawn in sets] == [*asked, *asked[:2]]
    for drawn in sets:
        assert drawn.query not in drawn.exemplars
        own = [item.label for item in drawn.exemplars]
        assert sorted(drawn.labels) == sorted(own) and list(drawn.labels) != own
    assert shuffled_sets("t", asked, 3, 3, seed=0) == sets[:3], "a set depends on its number only"
    assert shuffled_sets("t", asked, 7, 3, seed=1) != sets


@pytest.mark.parametrize(
    ("labels", "exemplars", "complaint"),
    [
        ("abcd", 4, "3 items with 3 different labels are too few for 4"),
        ("abcd", 1, "are too few for 1"),
        ("aaab", 2, "3 items with 1 different labels are too few for 2"),
    ],
)
def test_too_few_to_shuffle_are_named_with_the_remedy(labels, exemplars, complaint):
    asked = sorted(items(list(labels)), key=lambda item: item.label, reverse=True)
    with pytest.raises(UserError, match=complaint) as error:
        shuffled_sets("t", asked, 1, exemplars, seed=0)
    assert "mediation.exemplars" in str(error.value)
