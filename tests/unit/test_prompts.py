"""Prompts are laid out as the paper says, and their delimiters are where they are marked."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.study.prompts import (
    EXEMPLAR,
    QUERY,
    ImageInput,
    Mark,
    Prompt,
    Text,
    find_template,
    read_templates,
)

TEMPLATES = Path(__file__).parents[2] / "resources/templates.yaml"
VALUES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=20)


def flat(prompt: Prompt) -> str:
    """The prompt as text, images as <path>."""
    shown = {Text: lambda s: s.text, ImageInput: lambda s: f"<{s.path}>", Mark: lambda s: ""}
    return "".join(shown[type(segment)](segment) for segment in prompt)


def text_before(prompt: Prompt, mark: Mark) -> str:
    return flat(prompt[: prompt.index(mark)])


def test_the_generic_template_is_the_papers():
    template = find_template(TEMPLATES, "generic")
    prompt = template.exemplars([(Text("Greece"), "Athens"), (Text("Italy"), "Rome")])
    query = template.query(Text("Peru"))
    assert flat(prompt + query) == "Q:Greece\nA:Athens\n\nQ:Italy\nA:Rome\n\nQ:Peru\nA:"


def test_the_spaced_template_puts_spaces_before_text_but_not_before_images():
    template = find_template(TEMPLATES, "spaced")
    prompt = template.exemplars([(ImageInput("greece.png"), "Athens")])
    assert flat(prompt) == "Q:<greece.png>\nA: Athens\n\n"
    assert flat(template.query(Text("Peru"))) == "Q: Peru\nA:"


@pytest.mark.parametrize("name", ["generic", "spaced"])
@given(pairs=st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5), asked=VALUES)
def test_delimiters_are_marked_at_the_answers_colon(name, pairs, asked):
    template = read_templates(TEMPLATES)[name]
    exemplars = template.exemplars([(Text(x), y) for x, y in pairs])
    query = template.query(Text(asked))
    last_input, last_output = pairs[-1]
    before = text_before(exemplars, EXEMPLAR)
    assert before.endswith(f"{template.space}{last_input}\nA:")
    assert flat(exemplars) == before + template.space + last_output + "\n\n"
    assert text_before(query, QUERY) == flat(query)


def test_an_unknown_template_is_named_with_the_known_ones():
    with pytest.raises(UserError, match=r"unknown template 'haiku'.*generic, spaced"):
        find_template(TEMPLATES, "haiku")
