"""Architectures that no contract test holds: swept rightly, or refused with a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf

from taskvectors.base.errors import UserError
from taskvectors.engine import load as engine_load
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.models.registry import HELD_WITH
from taskvectors.study.prompts import Text

from . import vocabulary
from .test_contract import TEMPLATE, assert_same_answers, random_vectors
from .tiny import LAYERS, WIDTH, save, text_sizes

RECURRENT = {
    "layer_types": ["linear_attention", "full_attention", "linear_attention"],
    "head_dim": 8, "linear_key_head_dim": 8, "linear_value_head_dim": 8,
    "linear_num_key_heads": 2, "linear_num_value_heads": 4,
}  # fmt: skip
# By model_type: what the configuration needs besides, and the sweep that is right.
SWEPT = {
    "qwen2": ({}, "one-pass"),
    "olmo2": ({}, "one-pass"),
    "granite": ({"logits_scaling": 4.0, "embedding_multiplier": 3.0}, "one-pass"),
    "falcon": ({"num_kv_heads": 4}, "one-pass"),
    "mpt": ({"d_model": WIDTH, "n_layers": LAYERS, "n_heads": 4}, "cached"),
    "gpt_neo": ({"attention_types": [[["global", "local"], 1], [["local"], 1]], "num_layers": 3,
                 "num_heads": 4, "window_size": 8}, "cached"),
    "qwen3_5_text": (RECURRENT, "cached"),
}  # fmt: skip
# Layers without a residual stream of tokens at all, or logits of their own.
REFUSED = {
    "mamba": {"state_size": 4},
    "cohere": {"logit_scale": 0.5},
}


def saved(kind: str, changes: dict[str, Any], folder: Any) -> None:
    tokenizer = vocabulary.byte_level([])
    config = hf.AutoConfig.for_model(kind, **{**text_sizes(tokenizer), **changes})
    save(folder, hf.AutoModelForCausalLM.from_config(config), tokenizer)


@pytest.mark.parametrize("kind", SWEPT)
def test_what_is_believed_answers_as_one_pass_per_patch_does(kind, tmp_path, load):
    changes, sweep = SWEPT[kind]
    saved(kind, changes, tmp_path)
    adapter = load(tmp_path, kind)
    assert f"the {sweep} sweep" in adapter.checked
    prompts = [adapter.encode(TEMPLATE.query(Text(name))) for name in ("France", "Kenya 2345 67")]
    vectors = random_vectors(adapter, 4)
    sites = [Site(name, layer) for layer in range(len(adapter.layers)) for name in vectors]
    found = [one for batch in patched_answers(adapter, prompts, vectors, sites) for one in batch]
    assert_same_answers(found, naive_sweep(adapter, prompts, vectors, sites))


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_studied_is_refused_with_a_sentence(kind, tmp_path, load):
    saved(kind, REFUSED[kind], tmp_path)
    with pytest.raises(UserError, match="needs an adapter of its own"):
        load(tmp_path, kind)


def test_what_is_held_is_checked_with_another_transformers(tmp_path, load, monkeypatch):
    saved("llama", {}, tmp_path)
    assert hf.__version__ == HELD_WITH, "the contract is held with another version: say so there"
    assert load(tmp_path, "llama").checked is None
    monkeypatch.setattr(engine_load, "HELD_WITH", "4.0")
    assert "the one-pass sweep" in load(tmp_path, "llama").checked


def test_a_sweep_that_is_wrong_is_not_used(tmp_path, load):
    """The same model, its check passed over: the one-pass sweep's answers are not naive's."""
    saved("mpt", SWEPT["mpt"][0], tmp_path)
    adapter = load(tmp_path, "mpt")
    adapter.branching = True
    prompts = [adapter.encode(TEMPLATE.query(Text("France")))]
    vectors = random_vectors(adapter, 8)
    sites = [Site(name, layer) for layer in range(len(adapter.layers)) for name in vectors]
    found = [one for batch in patched_answers(adapter, prompts, vectors, sites) for one in batch]
    right = naive_sweep(adapter, prompts, vectors, sites)
    leads = {(n, site): answer.logit_difference for n, site, answer in right}
    off = torch.tensor([one.logit_difference - leads[n, site] for n, site, one in found]).abs()
    assert off.max() > 0.01
