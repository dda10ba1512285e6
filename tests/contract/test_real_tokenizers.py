"""Real tokenizers, whose vocabularies merge what those that are trained here do not.

Tiny checkpoints have them here: all that the study asks is encoded, any text is encoded rightly
or refused, and what the contract asks of prompts and patches holds.
"""

from __future__ import annotations

import gc
import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskvectors.base.errors import UserError
from taskvectors.jobs.queries import modalities_of
from taskvectors.models.add.abilities import exemplars_of_all_tasks
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.chat import fitted
from taskvectors.models.judged import encode_query
from taskvectors.study.prompts import (
    EXEMPLAR,
    EXEMPLARS_END,
    QUERY,
    ImageInput,
    Template,
    Text,
    read_templates,
)

from .families import FAMILIES
from .real_tokenizers import VOCABULARIES, CannotFetchError, as_released
from .real_tokenizers import load as load_tokenizer
from .test_chat import PARTS
from .test_contract import (
    test_a_batch_answers_as_its_prompts_alone_do,
    test_a_delimiter_merged_with_its_neighbour_is_cut_off_or_refused,
    test_branches_answer_as_whole_prompts_do,
    test_every_sweep_answers_as_one_pass_per_patch_does,
    test_patching_a_tokens_own_activation_changes_nothing,
    test_placeholders_are_as_many_as_features,
    test_the_forward_pass_is_the_models_own,
    test_the_patched_token_is_the_colon_of_the_prompt,
)

# The contract's tests that run on these tokenizers, too.
__all__ = [
    "test_a_batch_answers_as_its_prompts_alone_do",
    "test_a_delimiter_merged_with_its_neighbour_is_cut_off_or_refused",
    "test_branches_answer_as_whole_prompts_do",
    "test_every_sweep_answers_as_one_pass_per_patch_does",
    "test_patching_a_tokens_own_activation_changes_nothing",
    "test_placeholders_are_as_many_as_features",
    "test_the_forward_pass_is_the_models_own",
    "test_the_patched_token_is_the_colon_of_the_prompt",
]
RESOURCES = Path(__file__).parents[2] / "resources"
# One family for each tokenizer: Llama 3's, Llama 2's, Mistral's, SmolLM2's, Qwen3's, Gemma 3's.
STUDIED = ("llama", "llava", "idefics2", "smolvlm", "internvl", "gemma3")
# With how many of the 1,228 labels Llama 3's and Qwen's merge the generic template's delimiter.
MERGED, MERGING = 712, ("llama", "internvl")


@pytest.fixture(scope="module", params=list(VOCABULARIES))
def family(request: pytest.FixtureRequest) -> str:
    return request.param


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection, which doubles the time that a vocabulary takes to load."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="module")
def folder(family, tmp_path_factory, pytestconfig) -> Path:
    """A tiny checkpoint with the tokenizer that the family's real ones have."""
    folder = tmp_path_factory.mktemp(family)
    try:
        with uncollected():
            tokenizer = load_tokenizer(VOCABULARIES[family], pytestconfig.cache.mkdir("tokenizers"))
            FAMILIES[family].save(folder, tokenizer)
        if VOCABULARIES[family].fetched == "mistral":
            as_released(folder)
    except CannotFetchError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"{error}; see tests/QUARANTINE.md")
    return folder


@pytest.fixture(scope="module")
def adapter(family: str, folder: Path, load: Callable[[Path, str], Adapter]) -> Adapter:
    with uncollected():
        adapter = load(folder, family)
    if family == "idefics2":
        adapter.tokenizer.chat_template = PARTS
    return adapter


def templates_of(adapter: Adapter) -> Iterator[Template]:
    """All templates, but for the chat where the tokenizer comes without a template of its own, or
    with one (Llama 3's) that begins a reply after every turn."""
    for name, template in read_templates(RESOURCES / "templates.yaml").items():
        if name != "chat" or adapter.name not in ("llama", "llava"):
            yield fitted(template, adapter)


def assert_marked(adapter: Adapter, template: Template, encoded: Encoded, label: str) -> None:
    """The tokens up to each delimiter end as the template's answer does, and the query's label
    begins with the next one. Some tokenizers write a space beside a special token."""
    decode = adapter.tokenizer.decode
    for mark in encoded.marks.keys() & {EXEMPLAR.name, QUERY.name}:
        before = decode(encoded.ids[: encoded.marks[mark] + 1]).replace(" ", "")
        assert before.endswith(template.answer.replace(" ", ""))
    token = decode([encoded.ids[encoded.marks[QUERY.name] + 1]]).strip()
    assert token and label.startswith(token)


def test_every_entity_and_label_is_encoded_and_both_delimiters_are_found(family, adapter, images):
    if family not in STUDIED:
        return
    pairs = exemplars_of_all_tasks(RESOURCES)
    assert (len(pairs), len({entity for entity, _ in pairs})) == (1228, 614)
    sees = "image" in modalities_of(adapter)
    for template in templates_of(adapter):
        shown = ImageInput(images[0]) if sees and template.takes_images else Text("Japan")
        query, forced = template.query(shown), 0
        asked = adapter.encode(query).ids
        for (entity, label), earlier in zip(pairs, [pairs[-1], *pairs[:-1]], strict=True):
            alone = adapter.encode((*query, template.value(label)))
            assert alone.ids[: len(asked)] == asked
            assert_marked(adapter, template, alone, label)
            forced += alone.forced_boundary
            context = template.exemplars([(Text(earlier[0]), earlier[1])])
            text = (*context, *template.query(Text(entity)), template.value(label))
            within = adapter.encode(text)
            assert_marked(adapter, template, within, label)
            at = within.marks[QUERY.name] + 1
            assert within.ids[at:] == alone.ids[len(asked) :]
        merging = family in MERGING and template.name == "generic"
        assert forced == (MERGED if merging else 0)


def test_every_piece_of_idefics2s_text_begins_with_a_word_mark(family, adapter, images):
    """As the released tokenizer.json has it, whatever transformers builds from its class."""
    if family != "idefics2":
        return
    query = (Text("Q:"), ImageInput(images[0]), Text("\nA:"), QUERY)
    tokens = adapter.tokenizer.convert_ids_to_tokens(adapter.encode(query).ids)
    assert tokens[-5:] == ["<fake_token_around_image>", "▁", "<0x0A>", "A", ":"]


# What labels and entities may begin with; any characters that are in use may follow.
BEGINNINGS = [
    *("", " ", "  ", "\n", "\t", ":", "::", "A:", "\nA:", "Q:", "\n\n", ".", "'s", '"', "(", "¿"),
    *("T", "École", "E\u0301", "\u0301", "\u0338", "7", "42", "٣", "½", "👩‍🚀", "🇫🇷", "\0"),
    *("東京", "Киев", "Αθήνα", "ירושלים", "القاهرة", "\u200fקהיר", "नई दिल्ली", "กรุงเทพ"),
]
LETTERS = st.characters(exclude_categories=["Cc", "Cn", "Co", "Cs"])
TEXTS = st.builds("{}{}".format, st.sampled_from(BEGINNINGS), st.text(LETTERS, max_size=6))


def read_back(text: str) -> str:
    """A text as tokenizers give it back: composed, a word mark as a space, and without spaces
    before it, which some of them take off."""
    return unicodedata.normalize("NFC", text).replace("▁", " ").lstrip(" ")


@settings(max_examples=100)
@given(
    pair=st.tuples(TEXTS, TEXTS), asked=st.tuples(TEXTS, TEXTS), space=st.sampled_from(["", " "])
)
def test_any_entity_and_label_is_encoded_in_its_place_or_refused(
    family, adapter, pair, asked, space
):
    if family not in STUDIED:
        return
    template = Template("any", "Q:", "\nA:", "\n\n", space)
    context = template.exemplars([(Text(pair[0]), pair[1])])
    query = template.query(Text(asked[0]))
    try:
        encoded, judged = encode_query(adapter, (*context, *query), template, asked[1])
        answered = adapter.encode((*context, *query, template.value(asked[1])))
    except UserError as error:
        reasons = (" merges the ", " for an image in ", " has no text that could be judged")
        assert any(reason in str(error) for reason in reasons)
        return
    decode = adapter.tokenizer.decode
    assert judged == tuple(answered.ids[len(encoded.ids) :])[: len(judged)]
    text, end = f"Q:{space}{pair[0]}\nA:", answered.marks[EXEMPLAR.name] + 1
    assert read_back(decode(answered.ids[:end], skip_special_tokens=False)).endswith(
        read_back(text)
    )
    rest = f"{space}{pair[1]}\n\n"
    asked_at = answered.marks[EXEMPLARS_END.name] + 1
    assert read_back(decode(answered.ids[end:asked_at])) == read_back(rest)
    label_at = answered.marks[QUERY.name] + 1
    assert read_back(decode(answered.ids[asked_at:label_at])) == read_back(
        f"Q:{space}{asked[0]}\nA:"
    )
    assert read_back(decode(answered.ids[label_at:])) == read_back(space + asked[1])
