"""Rules that say whether an answer does what was asked, and the prompts that they judge."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.study.judging import meets
from taskvectors.study.overriding import KINDS, read_overrides

PLACE = "resources/qualitative/conflicts.yaml"
FRENCH = {"language": "fr", "rather_than": "en"}
ENGLISH = {"language": "en", "rather_than": "fr"}


@pytest.mark.parametrize(
    ("answer", "criterion", "met"),
    [
        ("The answer is Cold.", {"label": ["cold", "cool"]}, True),
        ("colder than ice", {"label": ["cold"]}, False),
        ("It is New Delhi!", {"label": ["new delhi"]}, True),
        ("walks", {"label": ["walked"]}, False),
        ("a pear, 2 of them", {"case": "lower"}, True),
        ("A pear", {"case": "lower"}, False),
        ("A PEAR", {"case": "upper"}, True),
        ("ÉCOLE", {"case": "upper"}, True),
        ("La mer est très belle ce soir.", FRENCH, True),
        ("La mer est très belle ce soir.", ENGLISH, False),
        ("The sea is very beautiful tonight.", ENGLISH, True),
        ("LE CHIEN EST DANS LA MAISON", FRENCH, True),
        ("one", {"words": {"most": 1}}, True),
        ("one two", {"words": {"most": 1}}, False),
        ("one two three four five", {"words": {"least": 5}}, True),
        ("one two three four", {"words": {"least": 5}}, False),
        ("any", {"question": "Is it sad?", "yes": ["x"], "no": ["y"]}, None),
    ],
)
def test_each_rule_tells_what_it_is_for(answer, criterion, met):
    assert meets(answer, criterion) is met


@pytest.mark.parametrize(
    "criterion",
    [{"label": ["a"]}, {"case": "lower"}, {"case": "upper"}, FRENCH, {"words": {"most": 3}}],
)
@given(answer=st.text(alphabet=st.characters(exclude_categories=["L"]), max_size=8))
def test_an_answer_without_a_letter_meets_nothing(answer, criterion):
    assert meets(answer, criterion) is False


@given(word=st.text(alphabet=st.characters(categories=["L"]), min_size=1, max_size=8))
def test_a_label_alone_is_found_whatever_is_in_it(word):
    assert meets(word, {"label": [word]}) is True
    assert meets(f"so {word}, yes", {"label": [word]}) is True
    assert meets(f"so{word}yes", {"label": [word]}) is False


def test_there_are_at_least_twenty_prompts_of_each_kind_and_no_two_alike(root):
    overrides = read_overrides(root / PLACE)
    for kind in KINDS:
        prompts = [one.prompt for one in overrides if one.kind == kind]
        assert len(prompts) == len(set(prompts)) >= 20
    assert {key for one in overrides for side in one.criteria.values() for key in side} == {
        *("label", "case", "language", "rather_than", "words", "question", "yes", "no")
    }


def test_no_label_of_a_prompt_answers_both_and_none_stands_in_the_prompt(root):
    for one in read_overrides(root / PLACE):
        asked, patched = (set(side.get("label", [])) for side in one.criteria.values())
        assert not asked & patched, one.prompt
        told = [label for label in asked | patched if meets(one.prompt, {"label": [label]})]
        assert not told, (one.prompt, told)


def test_a_prompt_without_its_labels_is_named(root, tmp_path):
    raw = yaml.safe_load((root / PLACE).read_text())
    del raw["semantic"][0]["prompts"][0]["patched"]
    path = tmp_path / "conflicts.yaml"
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(
        UserError, match=r"'What is the opposite of hot\?' has no labels for `patch"
    ):
        read_overrides(path)
    raw["semantic"][0]["asked"] = {"colour": "red"}
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(UserError, match=r"semantic\.0\.asked"):
        read_overrides(path)
