"""Overriding on a tiny LLaVA: each method's answer is that of one plain generation; the judge."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from taskvectors.base.files import read_jsonl, write_json
from taskvectors.engine.generate import generate
from taskvectors.engine.heads import plain_probability
from taskvectors.engine.trees import continued
from taskvectors.jobs.instructed import read_instruction
from taskvectors.models.chat import fitted, system_pieces
from taskvectors.overriding import __main__ as overriding
from taskvectors.overriding import judge
from taskvectors.study.overriding import METHODS, read_overrides
from taskvectors.study.prompts import Text, find_template

from .test_chat import PARTS, STRINGS, with_chat
from .vocabulary import WORDS

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "resources/templates.yaml"
TEMPLATE = find_template(TEMPLATES, "generic")
LAYER = 1
MOOD = {"question": f"{WORDS[0]}?", "yes": [WORDS[1], WORDS[2]], "no": [WORDS[3]]}
BLOCK = {
    "instruction": f"{WORDS[4]}:",
    "asked": {"case": "lower"},
    "patched": MOOD,
    "prompts": [{"text": WORDS[5]}, {"text": WORDS[6]}],
}
OTHER = {
    "instruction": f"{WORDS[7]}:",
    "asked": {"words": {"least": 1}},
    "patched": {"label": "any"},
    "prompts": [{"text": WORDS[8], "patched": [WORDS[9]]}],
}
CONFLICTS = {"semantic": [BLOCK, OTHER], "syntax": [OTHER], "creative": [OTHER], "factual": [OTHER]}
MERGED = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ '[INST] <<' + m['content'] + '>> ' }}"
    "{% elif m['role'] == 'user' %}{% if messages[0]['role'] == 'user' %}{{ '[INST] ' }}{% endif %}"
    "{{ m['content'] + ' [/INST] ' }}{% else %}{{ m['content'] + ' END ' }}{% endif %}{% endfor %}"
)
REFUSING = (
    "{% for message in messages %}{% if message['role'] == 'system' %}"
    "{{ raise_exception('no system turn') }}{% endif %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def run(tmp_path, checkpoint, monkeypatch):
    """A function that runs a command of the stage on the tiny model."""
    (tmp_path / "conflicts.yaml").write_text(yaml.safe_dump(CONFLICTS))
    write_json(tmp_path / "layer.json", {"layer": LAYER})

    def command(module, *arguments: str) -> None:
        about = ["--model", str(checkpoint), "--name", "tiny", "--dtype", "float32"]
        given = [*about, "--templates", str(TEMPLATES), *arguments]
        monkeypatch.setattr(sys, "argv", ["command", *given])
        module.main()

    return command


@pytest.fixture
def answers(run, tmp_path) -> list[dict]:
    run(
        overriding,
        *("--template", "generic", "--conflicts", str(tmp_path / "conflicts.yaml")),
        *("--layer", str(tmp_path / "layer.json"), "--out", str(tmp_path / "answers.jsonl")),
    )
    return read_jsonl(tmp_path / "answers.jsonl")


def test_every_prompt_is_answered_by_every_method_as_in_one_plain_generation(
    answers, checkpoint, load, tmp_path
):
    adapter = load(checkpoint, "tiny")
    overrides = read_overrides(tmp_path / "conflicts.yaml")
    assert len(answers) == len(overrides) * len(METHODS)
    for line in answers:
        query = TEMPLATE.query(Text(line["prompt"]))
        in_front = (Text(line["instruction"] + "\n\n"),)
        prompt = (*in_front, *query) if line["method"] == "system_prompt" else query
        vector = read_instruction(adapter, line["instruction"])[0, LAYER]
        patch = (vector, LAYER) if line["method"] == "patch" else (None, None)
        (ids,) = generate(
            adapter, [adapter.encode(prompt)], overriding.TOKENS, *patch, one_line=True
        )
        assert line["written"] == adapter.tokenizer.decode(ids)
        assert line["layer"] == LAYER
    by_method = {line["method"]: line["written"] for line in answers if line["kind"] == "factual"}
    assert len(set(by_method.values())) == 3


@pytest.mark.parametrize(
    ("written", "answer"),
    [("\n red\nQ: next", "red"), ("  a b ", "a b"), ("", ""), ("\n\n", ""), ("a\r\nb", "a")],
)
def test_an_answer_is_its_first_line(written, answer):
    assert overriding.first_line(written) == answer


def test_the_judge_is_asked_where_no_rule_tells_and_is_tested_on_known_texts(
    answers, run, tmp_path, checkpoint, load
):
    run(judge, "--answers", str(tmp_path / "answers.jsonl"), "--out", str(tmp_path / "out"))
    verdicts = read_jsonl(tmp_path / "out/verdicts.jsonl")
    assert [line["written"] for line in verdicts] == [line["written"] for line in answers]
    adapter = load(checkpoint, "tiny")
    spaced = find_template(TEMPLATES, "spaced")
    for line in verdicts:
        assert isinstance(line["asked_met"], bool) and isinstance(line["patched_met"], bool)
        assert "asked_opinion" not in line
        if "question" not in line["patched"] or not line["answer"]:
            assert "patched_opinion" not in line
            continue
        said = line["patched_opinion"]
        assert said["prompt"] == f'{WORDS[0]}? Answer yes or no. The text: "{line["answer"]}"'
        alone = adapter.encode(spaced.query(Text(said["prompt"])))
        yes, no = (
            adapter.encode((*spaced.query(Text(said["prompt"])), spaced.value(word))).ids
            for word in ("Yes", "No")
        )
        # This tokenizer makes a token of the space before both, which says neither.
        space, at = yes[len(alone.ids)], len(alone.ids) + 1
        assert (no[at - 1], adapter.tokenizer.decode([space])) == (space, "")
        after = continued(alone, [space])
        chances = [
            plain_probability(adapter, alone, [space])
            * plain_probability(adapter, after, [ids[at]])
            for ids in (yes, no)
        ]
        assert [said["yes"], said["no"]] == pytest.approx(chances, rel=1e-4)
        assert said["yes"] != said["no"]
        assert line["patched_met"] == (chances[0] > chances[1])
    known = read_jsonl(tmp_path / "out/known.jsonl")
    assert [(one["text"], one["expected"]) for one in known] == [
        *((WORDS[1], True), (WORDS[2], True), (WORDS[3], False))
    ]
    assert {one["judge"] for one in known} == {"tiny"}


@pytest.mark.parametrize(
    ("chat", "family", "pieces"),
    [
        (
            STRINGS,
            "llama",
            ("<|im_start|>system\nHello<|im_end|>\n<|im_start|>system\n", "<|im_end|>\n"),
        ),
        (PARTS, "idefics2", ("System: ", "<end_of_utterance>\n")),
        (REFUSING, "llama", None),
        (MERGED, "llama", None),
    ],
    ids=["a turn", "parts", "refused", "in the user's turn"],
)
def test_a_system_prompt_stands_in_the_system_turn_where_there_is_one(
    tmp_path, load, chat, family, pieces
):
    adapter = with_chat(load, family, tmp_path, chat)
    assert system_pieces(adapter) == pieces
    template = fitted(find_template(TEMPLATES, "chat"), adapter)
    expected = f"{pieces[0]}Be red:{pieces[1]}" if pieces else "Be red:\n\n"
    assert template.system_prompt("Be red:") == Text(expected)
