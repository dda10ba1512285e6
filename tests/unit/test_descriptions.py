"""The dense descriptions name neither their entity nor a label, and who is asked what."""

from __future__ import annotations

import pytest

from taskvectors.base.errors import UserError
from taskvectors.qualitative.descriptions import (
    describe,
    draw_exemplars,
)
from taskvectors.qualitative.studied import Studied
from taskvectors.study.datasets import Item
from taskvectors.study.descriptions import leaks, read_descriptions
from taskvectors.study.entities import read_entities
from taskvectors.study.tasks import Task

PLACE = "resources/qualitative/descriptions.yaml"


def test_every_entity_set_has_forty_descriptions_of_two_to_four_sentences(root):
    found = read_descriptions(root / PLACE)
    assert set(found) == {path.stem for path in (root / "resources/entities").glob("*.csv")} - {
        "dropped"
    }
    for entity_set, texts in found.items():
        table = read_entities(root / f"resources/entities/{entity_set}.csv")
        assert len(texts) >= 40
        assert set(texts) <= {entity.name for entity in table}
        for text in texts.values():
            assert 2 <= text.count(". ") + text.endswith(".") <= 4, text


def test_no_description_gives_its_entity_or_a_label_away(root):
    for entity_set, texts in read_descriptions(root / PLACE).items():
        for entity in read_entities(root / f"resources/entities/{entity_set}.csv"):
            for label in entity.labels.values():
                if entity.name in texts:
                    assert leaks(texts[entity.name], entity.name, label) == [], entity.name


@pytest.mark.parametrize(
    ("text", "name", "label", "found"),
    [
        ("A GREENISH pod.", "Pea", "green", ["green"]),
        ("It is sweet.", "Pea", "sweet", ["sweet"]),
        ("Peas in a pod.", "Pea", "green", ["Pea"]),
        ("It hangs like a pear from a tree.", "Pea", "green", []),
        ("The Japanese eat it.", "Japan", "Tokyo", ["Japan"]),
        (
            "The capital is Mexico's largest city.",
            "Mexico",
            "Mexico City",
            ["Mexico", "City", "Mexico"],
        ),
        ("Tolstoy's land, a big one.", "Yemen", "Sana'a", []),
        ("A kitchen plant.", "Fox", "kit", []),
    ],
)
def test_a_leak_is_a_word_of_the_name_or_the_label(text, name, label, found):
    assert leaks(text, name, label) == found


TABLE = """entity,title,emoji,capital
France,France,,Paris
Peru,Peru,,Lima
Kenya,Kenya,,Nairobi
Chad,Chad,,N'Djamena
"""


def test_test_items_are_asked_and_others_are_exemplars(tmp_path):
    path = tmp_path / "countries.csv"
    path.write_text(TABLE)
    item = Item("country-capital", "test", "France", "f.png", "Paris")
    task = Task("country-capital", "countries", "capital", "The capital:")
    texts = {"France": "A hexagon.", "Peru": "It has Lima.", "Kenya": "A rift.", "Chad": "A lake."}
    images = {"France": "f.png", "Peru": "p.png", "Kenya": "k.png"}
    studied = Studied(task, [item], [], {})
    found = describe(studied, texts, read_entities(path), images)
    assert [one.item.entity for one in found.queries] == ["France"]
    # Peru's description has its label, and Chad has no image.
    assert [one.item for one in found.exemplars] == [
        Item("country-capital", "validation", "Kenya", "k.png", "Nairobi")
    ]
    assert [one.item.entity for one in draw_exemplars(found, 1, 1)] == ["Kenya"]
    with pytest.raises(
        UserError, match="1 described entities are no test items, but a prompt needs 2"
    ):
        draw_exemplars(found, 1, 2)


def test_a_wrong_file_is_named(tmp_path):
    path = tmp_path / "descriptions.yaml"
    path.write_text("countries:\n  France: too short.\n")
    with pytest.raises(UserError, match=r"descriptions\.yaml: countries\.France: "):
        read_descriptions(path)
