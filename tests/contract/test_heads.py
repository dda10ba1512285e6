"""Attention heads: for every family that has them, one pass finds what one pass each does."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.engine.forward import HookError, run
from taskvectors.engine.heads import (
    head_effects,
    head_hooks,
    plain_probability,
    read_heads,
)
from taskvectors.engine.naive import naive_effects
from taskvectors.engine.trees import whole
from taskvectors.models.base import Adapter, Encoded

from .families import FAMILIES
from .test_contract import contexts, last_of

WITH_HEADS = [name for name, one in FAMILIES.items() if one.heads]


@pytest.fixture(scope="session", params=WITH_HEADS)
def family(request: pytest.FixtureRequest) -> str:
    return request.param


def outputs_of(adapter: Adapter, prompt: Encoded) -> Tensor:
    """All heads' outputs (layers, heads, head width) at a prompt's last token."""
    with read_heads(adapter, [(0, last_of(prompt))]) as read:
        run(adapter, [whole(prompt)])
    return read.on_host()[0]


def test_there_are_as_many_heads_as_the_configuration_says(adapter):
    assert adapter.heads.count == 4
    assert len(adapter.heads.projections) == len(adapter.layers)
    with pytest.raises(UserError, match=r"head 4 of layer 0 does not exist.*heads 0 to 3"):
        adapter.heads.check(0, 4)


def test_a_heads_own_output_changes_nothing(adapter, images):
    for prompt in contexts(adapter, images)[::3]:
        own = outputs_of(adapter, prompt)
        before, after = head_effects(adapter, prompt, own, 7, 4096)
        assert before == pytest.approx(plain_probability(adapter, prompt, 7), rel=1e-4)
        torch.testing.assert_close(after, torch.full_like(after, before), rtol=1e-4, atol=1e-7)


def test_all_heads_in_one_pass_are_as_one_pass_each(adapter, images):
    for prompt in contexts(adapter, images)[::3]:
        own = outputs_of(adapter, prompt)
        other = own + torch.randn(own.shape, generator=torch.Generator().manual_seed(2))
        expected_before, expected = naive_effects(adapter, prompt, other, 7)
        assert (expected - expected_before).abs().min() > 1e-6, "every head must do something"
        for budget in (len(prompt.ids) + 5, 4096):
            before, after = head_effects(adapter, prompt, other, 7, budget)
            assert before == pytest.approx(expected_before, rel=1e-3)
            torch.testing.assert_close(after, expected, rtol=1e-3, atol=1e-6)


def test_small_changes_of_a_layers_heads_add_up_to_that_of_its_attention(adapter, images):
    prompt = contexts(adapter, images)[0]
    own = outputs_of(adapter, prompt)
    step = 1e-2 * torch.randn(own.shape, generator=torch.Generator().manual_seed(3))
    before, after = head_effects(adapter, prompt, own + step, 7, 4096)
    for layer in range(len(adapter.layers)):

        def replace(at: int, seen: Tensor, layer: int = layer) -> Tensor | None:
            if at != layer:
                return None
            changed = seen.clone()
            changed[0, -1] += step[layer].to(seen)
            return changed

        with head_hooks(adapter, replace):
            whole_layer = plain_probability(adapter, prompt, 7) - before
        parts = after[layer] - before
        assert float(parts.sum()) == pytest.approx(whole_layer, abs=0.1 * float(parts.abs().sum()))


def test_what_heads_write_adds_up_to_what_their_attention_does(adapter, images):
    prompt = contexts(adapter, images)[0]
    made: list[Tensor] = []

    def keep(_module: Any, _given: Any, put_out: Tensor) -> None:
        made.append(put_out[0, -1])

    layer = len(adapter.layers) - 1
    projection = adapter.heads.projections[layer]
    handle = projection.register_forward_hook(keep)
    own = outputs_of(adapter, prompt)[layer].to(adapter.device)
    handle.remove()
    alone = [
        adapter.heads.written(layer, own * (torch.arange(4, device=own.device) == head)[:, None])
        for head in range(4)
    ]
    bias = getattr(projection, "bias", None)
    whole_layer = made[0] - (0 if bias is None else bias)
    torch.testing.assert_close(sum(alone), whole_layer, atol=1e-4, rtol=0)


def test_projections_that_are_not_called_raise(adapter):
    with pytest.raises(HookError, match="were not called exactly once"):  # noqa: SIM117
        with head_hooks(adapter, lambda layer, seen: None):
            pass
