"""Distillation towards the written name: what a lesson is, and when nothing is left to learn."""

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from taskvectors.prepare.distil import FrozenModel, Surroundings

from . import vocabulary

AROUND = Surroundings("I saw", " and", 5)
NAMES = ["Peru", "Japan", "France and Peru"]


@pytest.fixture(scope="module")
def frozen():
    tokenizer = vocabulary.byte_level([])
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=6,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    return FrozenModel(LlamaForCausalLM(config).eval(), tokenizer, torch.device("cpu"))


def test_a_lesson_goes_on_as_the_model_does_after_the_whole_text(frozen):
    lesson = frozen.lesson(AROUND, NAMES)
    for name, written in zip(NAMES, lesson.ids.tolist(), strict=True):
        ids = frozen.ids("I saw") + frozen.ids(" " + name) + frozen.ids(" and")
        for expected in written[len(frozen.ids(" and")) :]:
            logits = frozen.model(torch.tensor([ids])).logits
            assert int(logits[0, -1].argmax()) == expected
            ids.append(expected)


def test_nothing_is_left_to_learn_where_image_tokens_are_the_name_itself(frozen):
    lesson = frozen.lesson(AROUND, NAMES)
    for number, name in enumerate(NAMES):
        own = frozen.embed(torch.tensor([frozen.ids(" " + name)]))
        assert float(frozen.loss(lesson, own, torch.tensor([number]))) < 1e-5
        other = own.flip(-1)
        assert float(frozen.loss(lesson, other, torch.tensor([number]))) > 1e-3
