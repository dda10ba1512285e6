"""Splits are disjoint and seeded; exemplars never hold the query."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.curate.__main__ import curate
from taskvectors.curate.draws import exemplar_sets, split_entities
from taskvectors.jobs.queries import asked
from taskvectors.study.datasets import Item
from taskvectors.study.entities import Entity
from taskvectors.study.prompts import Text
from taskvectors.study.tasks import Task

TASK = Task("country-capital", "countries", "capital", "The capital city of the country:")
NAMES = [f"Land {number}" for number in range(40)]


def entities(names: list[str]) -> list[Entity]:
    return [Entity(name, "countries", name, "", {"capital": f"City of {name}"}) for name in names]


def items(count: int, split: str) -> list[Item]:
    return [Item(TASK.name, split, f"{split} {i}", "x.png", f"label {i}") for i in range(count)]


@given(validation=st.integers(2, 20), test=st.integers(2, 20), seed=st.integers(0, 99))
def test_splits_are_disjoint_of_the_asked_sizes_and_repeatable(validation, test, seed):
    first = split_entities(NAMES, validation, test, random.Random(seed))
    again = split_entities(NAMES[::-1], validation, test, random.Random(seed))
    assert first == again
    assert not set(first["validation"]) & set(first["test"])
    assert (len(first["validation"]), len(first["test"])) == (validation, test)


def test_too_few_items_say_how_many_there_are_and_what_to_lower():
    with pytest.raises(UserError, match=r"40 entities have an image.*30 validation and 11 test"):
        split_entities(NAMES, 30, 11, random.Random(0))
    with pytest.raises(UserError, match=r"split of 5 items cannot give 5 exemplars"):
        exemplar_sets("t", items(5, "test"), [1], 5)


def test_exemplars_come_from_the_querys_split_without_the_query():
    asked = items(8, "validation") + items(9, "test")
    sets = exemplar_sets("t", asked, [1, 2, 3], 5)
    assert len(sets) == 3 * 17
    for drawn in sets:
        assert len(set(drawn.exemplars)) == 5
        assert drawn.query not in drawn.exemplars
        assert all(name.startswith(drawn.split) for name in drawn.exemplars)


def test_a_seeds_exemplars_do_not_depend_on_the_other_seeds():
    asked = items(8, "test")
    alone = exemplar_sets("t", asked, [2], 5)
    among = [drawn for drawn in exemplar_sets("t", asked, [1, 2, 3], 5) if drawn.seed == 2]
    assert alone == among
    other = [drawn for drawn in exemplar_sets("t", asked, [1, 2, 3], 5) if drawn.seed == 1]
    assert [drawn.exemplars for drawn in alone] != [drawn.exemplars for drawn in other]


def test_descriptions_are_asked_in_place_of_names_and_never_mixed_with_them():
    images = {name: f"{name}.png" for name in NAMES}
    sizes = {"validation": 4, "test": 6}
    texts = {name: f"A land called number {name[5:]}." for name in NAMES[:12]}
    kept, decisions = curate(TASK, entities(NAMES), images, sizes, 0, {}, texts)
    assert {item.said for item in kept} <= set(texts.values())
    assert [row["decision"] for row in decisions].count("left out: no description") == 28
    assert asked(kept[0], "text") == Text(texts[kept[0].entity])
    own = [replace(one, text=texts.get(one.name, "")) for one in entities(NAMES)]
    assert curate(TASK, own, images, sizes, 0, {})[0] == kept
    named, _ = curate(TASK, entities(NAMES), images, sizes, 0, {})
    assert "text" not in named[0].as_row() and named[0].said == named[0].entity


def test_every_entity_has_a_decision_and_tasks_of_a_set_share_the_splits():
    images = {name: f"{name}.png" for name in NAMES[:35]}
    sizes = {"validation": 10, "test": 20}
    kept, decisions = curate(TASK, entities(NAMES), images, sizes, 0, {})
    assert [row["entity"] for row in decisions] == NAMES
    counts = [row["decision"] for row in decisions]
    assert counts.count("kept: validation") == 10
    assert counts.count("kept: test") == 20
    assert counts.count("left out: not drawn") == 5
    assert counts.count("left out: no image") == 5
    assert all(item.label == f"City of {item.entity}" for item in kept)
    other = Task("country-currency", "countries", "capital", "Money:")
    also_kept, _ = curate(other, entities(NAMES), images, sizes, 0, {})
    assert [(i.split, i.entity) for i in also_kept] == [(i.split, i.entity) for i in kept]


def test_an_image_of_no_entity_and_a_label_with_no_column_are_named():
    with pytest.raises(UserError, match=r"image x\.png is of 'Atlantis'.*countries\.csv"):
        curate(TASK, entities(NAMES), {"Atlantis": "x.png"}, {"validation": 2, "test": 2}, 0, {})
    stranger = Task("t", "countries", "anthem", "The anthem:")
    with pytest.raises(UserError, match=r"no label column 'anthem'.*it has capital"):
        curate(stranger, entities(NAMES), {}, {"validation": 2, "test": 2}, 0, {})
