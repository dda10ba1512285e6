"""Where the heads are, in real classes of many architectures, and which cannot be told apart."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers as hf
from torch import nn

from taskvectors.base.errors import UserError
from taskvectors.models.heads import find_heads

SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "vocab_size": 20,
    "pad_token_id": 0,
}


def decoder(kind: str, **changes: Any) -> nn.Module:
    config = hf.AutoConfig.for_model(kind, **{**SMALL, **changes})
    return hf.AutoModel.from_config(config)


def layers_of(model: nn.Module) -> list[nn.Module]:
    return list(getattr(model, "layers", None) or getattr(model, "h", None))


@pytest.mark.parametrize(
    ("kind", "changes", "projection", "width"),
    [
        ("llama", {"num_key_value_heads": 2}, "self_attn.o_proj", 8),
        ("qwen3", {"num_key_value_heads": 2, "head_dim": 16}, "self_attn.o_proj", 16),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 4}, "attn.c_proj", 8),
        ("gptj", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}, "attn.out_proj", 8),
        ("bloom", {"n_layer": 2, "n_head": 4}, "self_attention.dense", 8),
        ("falcon", {}, "self_attention.dense", 8),
        ("gpt_neox", {}, "attention.dense", 8),
        ("persimmon", {}, "self_attn.dense", 8),
        ("phi", {}, "self_attn.dense", 8),
        ("olmo2", {}, "self_attn.o_proj", 8),
    ],
)
def test_heads_are_slices_of_what_the_output_projection_is_given(kind, changes, projection, width):
    model = decoder(kind, **changes)
    heads = find_heads(layers_of(model), model.config, kind)
    assert (heads.count, heads.width) == (4, width)
    for layer, found in zip(layers_of(model), heads.projections, strict=True):
        assert found is layer.get_submodule(projection)
    outputs = torch.randn(4, width)
    parts = [heads.written(1, outputs * (torch.arange(4) == one)[:, None]) for one in range(4)]
    torch.testing.assert_close(sum(parts), heads.written(1, outputs), atol=1e-5, rtol=0)


def test_a_norm_over_all_heads_is_refused():
    model = decoder("bitnet")
    with pytest.raises(UserError, match=r"layer 0 of b1 has a norm \(attn_sub_norm\) before its"):
        find_heads(layers_of(model), model.config, "b1")


def test_layers_without_attention_are_refused():
    model = decoder("mamba", state_size=4)
    with pytest.raises(UserError, match=r"has none of self_attn.*leave `heads` off"):
        find_heads(layers_of(model), model.config, "m1")


def test_layers_with_other_heads_are_refused():
    model = decoder("llama")
    model.layers[1].self_attn.o_proj = nn.Linear(40, 32)
    with pytest.raises(UserError, match=r"do not have 4 heads each, of one width"):
        find_heads(layers_of(model), model.config, "l1")
