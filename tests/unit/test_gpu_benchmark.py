"""The benchmark of the GPU, on tiny models on the CPU: what it says, and that answers agree."""

from __future__ import annotations

from dataclasses import replace

import gpu
import pytest
import torch
from gpu import held, measured, share_equal
from shapes import IDEFICS2, LLAVA, QWEN2_5, QWEN3, SHAPES

from taskvectors.engine.forward import Answer
from taskvectors.engine.sweep import Site

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
}
TOWER = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
QWEN_TOWER = {"hidden_size": 32, "intermediate_size": 48, "depth": 3, "out_hidden_size": 64}
SIZES = {
    LLAVA.name: (TEXT, TOWER),
    IDEFICS2.name: (TEXT, TOWER),
    QWEN2_5.name: (TEXT | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6,
                           "mrope_section": [2, 3, 3]}}, QWEN_TOWER),
    QWEN3.name: (TEXT | {"head_dim": 16, "rope_parameters": {"rope_type": "default",
                         "rope_theta": 5e6, "mrope_section": [4, 2, 2],
                         "mrope_interleaved": True}},
                 QWEN_TOWER | {"deepstack_visual_indexes": [0, 1]}),
}  # fmt: skip
# Of the models on the hub.
WEIGHTS = {
    LLAVA.name: 7_063_427_072,
    IDEFICS2.name: 8_402_768_112,
    QWEN2_5.name: 8_292_166_656,
    QWEN3.name: 8_767_123_696,
}
SPEEDS = ("tokens_per_second", "tflops", "decoder_share")


def tiny(architecture):
    text, vision = SIZES[architecture.name]
    return replace(architecture, text=architecture.text | text, vision=architecture.vision | vision)


@pytest.mark.parametrize("architecture", SHAPES, ids=lambda one: one.name)
def test_every_model_is_measured_from_reading_to_precisions(architecture, monkeypatch):
    monkeypatch.setattr(gpu, "REPEATS", 1)
    monkeypatch.setattr(gpu, "find_spec", lambda package: None)
    found = dict(measured(tiny(architecture), "cpu"))
    speeds = [f"{work}_{of}" for work in ("read", "sweep_image", "sweep_text") for of in SPEEDS]
    assert list(found) == [
        *("parameters", *speeds, "sweep_vs_forward", "naive_vs_sweep", "naive_equal", "halved"),
        *("bfloat16_equal_float32", "float16_equal_float32", "nf4"),
    ]
    assert found["halved"] == "not run, there is no GPU"
    assert found["nf4"] == "not run, bitsandbytes is not installed"
    assert found["naive_equal"] == 1
    assert all(0 < found[f"{work}_decoder_share"] < 1 for work in ("read", "sweep_image"))
    # Coarser numbers turn more answers, but a wrong token or layer would turn nearly all.
    assert 0.8 < found["bfloat16_equal_float32"] <= found["float16_equal_float32"]


@pytest.mark.parametrize("architecture", SHAPES, ids=lambda one: one.name)
def test_the_models_have_as_many_weights_as_those_on_the_hub(architecture):
    with torch.device("meta"):
        model = architecture.model(architecture.configuration())
    assert gpu.weights_of(model) == WEIGHTS[architecture.name]


def test_an_answer_that_differs_is_a_tie_or_an_error():
    place, other = (0, Site("0", 1)), (0, Site("0", 2))
    expected = {place: Answer(3, 1e-5), other: Answer(4, 0.3)}
    found = {place: Answer(5, 1e-5), other: Answer(4, 0.2)}
    assert list(held("equal", found, expected)) == [("equal", 0.5)]
    found[other] = Answer(5, 0.2)
    assert share_equal(found, expected) == 0
    with pytest.raises(AssertionError, match="query 0 at Site"):
        list(held("equal", found, expected))
