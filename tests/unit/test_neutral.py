"""Neutral questions: their answers, and the exemplars that are drawn for them."""

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from taskvectors.base.errors import UserError
from taskvectors.score.sight import EXEMPLARS, draw_exemplars
from taskvectors.study.entities import read_entities
from taskvectors.study.manifest import CollectedImage
from taskvectors.study.neutral import read_neutral

NEUTRAL = Path("resources/neutral.yaml")


def image(entity: str, entity_set: str) -> CollectedImage:
    fields = dict.fromkeys(CollectedImage.__dataclass_fields__, "")
    return CollectedImage(**fields | {"entity": entity, "entity_set": entity_set, "free": True})


def test_every_question_says_what_is_right_of_the_images_it_fits():
    images = [
        image("New Zealand", "countries"),
        image("Blue Whale", "mammals"),
        image("Carrot", "foods"),
    ]
    assert read_neutral(NEUTRAL, images) == {
        "kind": {"New Zealand": "country", "Blue Whale": "animal", "Carrot": "food"},
        "letter": {"New Zealand": "N", "Blue Whale": "B", "Carrot": "C"},
        "words": {"New Zealand": "two", "Blue Whale": "two", "Carrot": "one"},
        "continent": {"New Zealand": "Oceania"},
        "heavier_than_a_car": {"Blue Whale": "yes"},
    }


def test_every_country_is_on_one_continent_and_every_drawn_mammal_weighs_something():
    tables = [Path(f"resources/entities/{name}.csv") for name in ("countries", "mammals")]
    entities = [one for table in tables for one in read_entities(table)]
    questions = read_neutral(NEUTRAL, [image(one.name, one.entity_set) for one in entities])
    countries = {one.name for one in entities if one.entity_set == "countries"}
    assert set(questions["continent"]) == countries
    drawn = {one.name for one in entities if one.entity_set == "mammals" and one.emoji}
    assert set(questions["heavier_than_a_car"]) == drawn


def test_a_broken_file_is_refused_by_name(tmp_path):
    (tmp_path / "neutral.yaml").write_text("kind: {countries: country, mammals: animal}\n")
    with pytest.raises(UserError, match=r"neutral\.yaml"):
        read_neutral(tmp_path / "neutral.yaml", [])


def test_exemplars_are_drawn_by_name_and_show_every_answer_in_turn():
    answers = {f"{kind}{number}": kind for kind in "ab" for number in range(20)}
    drawn = draw_exemplars(answers, "kind/0")
    assert drawn == draw_exemplars(answers, "kind/0") != draw_exemplars(answers, "kind/1")
    assert len(set(drawn)) == EXEMPLARS
    assert Counter(answers[entity] for entity in drawn) == {"a": EXEMPLARS / 2, "b": EXEMPLARS / 2}


def test_an_answer_with_few_entities_gives_no_more_than_it_has():
    answers = {"only": "rare", **{f"common{number}": "common" for number in range(20)}}
    drawn = draw_exemplars(answers, "rare/0")
    assert pd.Series(drawn).map(answers).value_counts().to_dict() == {"common": 6}
