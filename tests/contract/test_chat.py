"""The template ``chat``: the model's own turns, with the delimiter where its answer begins."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers.utils import chat_template_utils

from taskvectors.base.errors import UserError
from taskvectors.engine.forward import Patch
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import cut
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted, prompt_notes, turn_pieces
from taskvectors.models.judged import encode_query
from taskvectors.study.prompts import (
    EXEMPLAR,
    EXEMPLARS_END,
    QUERY,
    ChatTemplate,
    ImageInput,
    Template,
    Text,
    find_template,
)

from .families import FAMILIES
from .test_contract import assert_same_answers, last_of, outputs, random_vectors

TEMPLATES = Path(__file__).parents[2] / "resources/templates.yaml"
# SmolLM2's, which begins with a system message.
STRINGS = (
    "{% for message in messages %}{% if loop.first %}{{ '<|im_start|>system\nHello<|im_end|>\n' }}"
    "{% endif %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Idefics2's, as its authors recommend it.
PARTS = (
    "{% for message in messages %}{{ message['role'].capitalize() }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% elif line['type'] == 'image' %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n"
    "{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
CHATS = {
    "llama": (STRINGS, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "embedded": (STRINGS, "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"),
    "idefics2": (PARTS, "User:", "<end_of_utterance>\nAssistant:"),
}


def with_chat(load, family: str, folder: Path, chat: str | None) -> Adapter:
    """A family's tiny model whose checkpoint has this chat template."""
    FAMILIES[family].save(folder)
    adapter = load(folder, family)
    getattr(adapter, "processor", adapter.tokenizer).chat_template = chat
    adapter.tokenizer.chat_template = chat
    return adapter


@pytest.fixture(scope="module", params=list(CHATS))
def chatting(request, tmp_path_factory, load) -> tuple[Adapter, Template]:
    family = request.param
    adapter = with_chat(load, family, tmp_path_factory.mktemp(family), CHATS[family][0])
    return adapter, fitted(find_template(TEMPLATES, "chat"), adapter)


def test_the_pieces_are_the_models_own_turns(chatting):
    adapter, template = chatting
    assert (template.question, template.answer) == CHATS[adapter.name][1:]
    assert (template.end, template.space) == ("\n\n", "")
    assert fitted(template, adapter) is template


def test_the_papers_prompt_for_idefics2(tmp_path, load):
    template = fitted(
        ChatTemplate("chat", "\n\n", ""), with_chat(load, "idefics2", tmp_path, PARTS)
    )
    prompt = (*template.exemplars([(Text("Peru"), "Lima")]), *template.query(Text("Japan")))
    text = "".join(segment.text for segment in prompt if isinstance(segment, Text))
    assert text == (
        "User:Peru<end_of_utterance>\nAssistant:Lima\n\nUser:Japan<end_of_utterance>\nAssistant:"
    )


def test_delimiters_stand_before_the_answers(chatting, images):
    adapter, template = chatting
    asked = [Text("France")] + ([ImageInput(images[0])] if adapter.image_text else [])
    context = template.exemplars([(Text("Japan"), "Tokyo"), (Text("Peru"), "Lima")])
    encoded = [adapter.encode((*context, *template.query(one))) for one in asked]
    for prompt in encoded:
        assert prompt.marks[QUERY.name] == last_of(prompt)
        for mark, after in ((EXEMPLAR, "Lima"), (QUERY, "")):
            at = prompt.marks[mark.name]
            # Some tokenizers put a space after a special token.
            before = adapter.tokenizer.decode(prompt.ids[: at + 1]).replace(" ", "")
            assert before.endswith(template.answer.replace(" ", ""))
            assert adapter.tokenizer.decode(prompt.ids[at + 1 :]).lstrip(" ").startswith(after)
    ends = [prompt.marks[EXEMPLARS_END.name] + 1 for prompt in encoded]
    trunks = [cut(prompt, end)[0].ids for prompt, end in zip(encoded, ends, strict=True)]
    assert all(trunk == trunks[0] for trunk in trunks)
    encode_query(adapter, template.query(Text("Japan")), template, "Tokyo")


def test_patching_at_the_chats_delimiter_keeps_the_contract(chatting, images):
    adapter, template = chatting
    asked = [Text("France")] + ([ImageInput(images[0])] if adapter.image_text else [])
    prompts = [adapter.encode(template.query(one)) for one in asked]
    for prompt in prompts:
        own = outputs(adapter, prompt)
        for layer, vector in enumerate(own):
            patched = outputs(adapter, prompt, [Patch(0, last_of(prompt), layer, vector)])
            torch.testing.assert_close(patched[-1], own[-1], atol=1e-5, rtol=0.0)
    vectors = random_vectors(adapter, 2)
    sites = [Site(name, layer) for layer in range(len(adapter.layers)) for name in vectors]
    found = [one for batch in sweep(adapter, prompts, vectors, sites, 4096) for one in batch]
    assert_same_answers(found, naive_sweep(adapter, prompts, vectors, sites))


# Llama 3.2's way to ask; what begins a template may be a line break.
DATED = "\n{{ 'Today: ' + strftime_now('%d %b %Y, %-d.%m.') }}\n" + STRINGS


def test_it_is_always_the_same_day_for_a_chat_template_that_asks(tmp_path, load, monkeypatch):
    adapter = with_chat(load, "llama", tmp_path, DATED)
    days, found, own = (datetime(2026, 2, 3), datetime(2027, 11, 30)), [], set()
    for day in days:
        clock = SimpleNamespace(now=lambda day=day: day)
        monkeypatch.setattr(chat_template_utils, "datetime", clock)
        found.append(fitted(find_template(TEMPLATES, "chat"), adapter))
        messages = [{"role": "user", "content": "Japan"}]
        own.add(adapter.tokenizer.apply_chat_template(messages, tokenize=False))
    assert len(own) == 2 and found[0] == found[1]
    before = found[0].system[0]
    assert before.startswith("\nToday: 26 Jul 2024, 26.07.\n<|im_start|>system")
    assert [note for note in prompt_notes(adapter) if "2024-07-26" in note]
    assert prompt_notes(with_chat(load, "llama", tmp_path, STRINGS)) == []


@pytest.mark.parametrize(
    ("chat", "complaint"),
    [
        (None, "llama has no chat template"),
        ("{{ messages[0]['content'] }}", "shows no question and reply"),
        ("{% for m in messages %}{{ m['content'] }}{% endfor %}", "does not lay out all turns"),
        ("{{ raise_exception('roles must alternate') }}", "shows no question and reply"),
    ],
)
def test_a_chat_template_that_cannot_be_taken_apart_is_refused(tmp_path, load, chat, complaint):
    with pytest.raises(UserError, match=complaint):
        turn_pieces(with_chat(load, "llama", tmp_path, chat))


OPENED = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
# As Qwen3 and Qwen3.5 write them; as Phi-3 ends a conversation; and what cannot think without.
THINKING = {
    "a_thought_that_can_be_switched_off": (
        STRINGS.replace("message['content']", "(('<think>\n\n</think>\n\n' if message['role'] "
                        "== 'assistant' and loop.last else '') + message['content'])")
        .replace(OPENED, OPENED + "{% if enable_thinking is defined and not enable_thinking %}"
                 "{{ '<think>\n\n</think>\n\n' }}{% else %}{{ '<think>\n' }}{% endif %}"),
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
    ),
    "an_end_of_its_own": (STRINGS + "{% if not add_generation_prompt %}{{ eos_token }}{% endif %}",
                          "<|im_end|>\n<|im_start|>assistant\n"),
    "a_thought_always": (STRINGS.replace(OPENED, OPENED + "{{ '<think>\n' }}"), None),
    "a_channel": (STRINGS.replace("message['role'] + '\n'", "message['role'] + (' to=user' if "
                                  "message['role'] == 'assistant' else '') + '\n'"), None),
}  # fmt: skip


@pytest.mark.parametrize("case", THINKING)
def test_a_reply_is_opened_as_one_is_shown_without_a_thought(tmp_path, load, case):
    chat, answer = THINKING[case]
    adapter = with_chat(load, "llama", tmp_path, chat)
    if answer is None:
        with pytest.raises(UserError, match="may open a reply with a thought"):
            turn_pieces(adapter)
    else:
        assert turn_pieces(adapter) == ("<|im_start|>user\n", answer)


TURN = "{% for m in messages %}{{ m['role'] ~ ': ' ~ m['content'] ~ '\n' }}{% endfor %}"
WITHOUT_END = {
    "nested_loops": 2 * "{% for a in range(99999) %}" + 2 * "{% endfor %}",
    "a_long_text": "{{ 'x' * 10 ** 9 }}",
    "a_text_that_no_memory_holds": "{{ 'x' * 10 ** 13 }}",
    "a_long_reply": "{% for a in range(99999) %}{{ 'words' }}{% endfor %}",
    "a_padded_text": "{{ '%999999999d' % 1 }}",
    "a_large_number": "{{ (7 ** (10 ** 9)) % 2 }}",
}


@pytest.mark.parametrize("chat", WITHOUT_END)
def test_a_chat_template_that_works_without_end_is_ended(tmp_path, load, chat):
    adapter = with_chat(load, "llama", tmp_path, WITHOUT_END[chat] + TURN)
    with pytest.raises(UserError, match=r"\Athe chat template of \S+ computes for over .*\.\Z"):
        turn_pieces(adapter)


@pytest.mark.parametrize("fault", ["1 // 0", "messages.gone.gone", "'{x}'.format_map(3)"])
def test_a_chat_template_that_raises_any_error_is_refused(tmp_path, load, fault):
    adapter = with_chat(load, "llama", tmp_path, f"{{{{ {fault} }}}}{TURN}")
    with pytest.raises(UserError, match="shows no question and reply"):
        turn_pieces(adapter)
