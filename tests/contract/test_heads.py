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
from taskvectors.engine.trees import continued, whole
from taskvectors.models.base import Adapter, Encoded

from .families import FAMILIES
from .test_contract import contexts, last_of


@pytest.fixture
def headed(family: str, adapter: Adapter) -> Adapter:
    """The adapter of a family whose layers all have heads."""
    if not FAMILIES[family].heads:
        pytest.skip("has layers without heads; see tests/QUARANTINE.md")
    return adapter


def outputs_of(adapter: Adapter, prompt: Encoded) -> Tensor:
    """All heads' outputs (layers, heads, head width) at a prompt's last token."""
    with read_heads(adapter, [(0, last_of(prompt))]) as read:
        run(adapter, [whole(prompt)])
    return read.on_host()[0]


def likeliest(adapter: Adapter, prompt: Encoded) -> list[int]:
    """The prompt's own answer, whose probability is far from nothing."""
    at = (0, last_of(prompt))
    return [run(adapter, [whole(prompt)], answers=[at])[1][0].token_id]


def test_there_are_as_many_heads_as_the_configuration_says(headed):
    assert headed.heads.count == 4
    assert len(headed.heads.projections) == len(headed.layers)
    with pytest.raises(UserError, match=r"head 4 of layer 0 does not exist.*heads 0 to 3"):
        headed.heads.check(0, 4)


def test_a_heads_own_output_changes_nothing(headed, images):
    for prompt in contexts(headed, images)[::3]:
        own = outputs_of(headed, prompt)
        answer = likeliest(headed, prompt)
        before, after = head_effects(headed, prompt, own, answer, 4096)
        assert before == pytest.approx(plain_probability(headed, prompt, answer), rel=1e-4)
        torch.testing.assert_close(after, torch.full_like(after, before), rtol=1e-4, atol=1e-7)


def test_all_heads_in_one_pass_are_as_one_pass_each(headed, images):
    for prompt in contexts(headed, images)[::3]:
        own = outputs_of(headed, prompt)
        other = own + torch.randn(own.shape, generator=torch.Generator().manual_seed(2))
        answer = likeliest(headed, prompt)
        expected_before, expected = naive_effects(headed, prompt, other, answer)
        assert (expected - expected_before).abs().min() > 0, "every head must do something"
        for budget in (1, 4096):
            before, after = head_effects(headed, prompt, other, answer, budget)
            assert before == pytest.approx(expected_before, rel=1e-4)
            torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5)


def test_an_answer_of_several_tokens_is_as_likely_as_all_of_them_together(headed, images):
    prompt = contexts(headed, images)[-1]
    answer = likeliest(headed, prompt)
    answer = [*answer, *likeliest(headed, continued(prompt, answer))]
    own = outputs_of(headed, prompt)
    other = own + torch.randn(own.shape, generator=torch.Generator().manual_seed(2))
    expected_before, expected = naive_effects(headed, prompt, other, answer)
    first, _ = naive_effects(headed, prompt, other, answer[:1])
    assert 0 < expected_before < first
    for budget in (1, 4096):
        before, after = head_effects(headed, prompt, other, answer, budget)
        assert before == pytest.approx(expected_before, rel=1e-4)
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)


def test_small_changes_of_a_layers_heads_add_up_to_that_of_its_attention(headed, images):
    prompt = contexts(headed, images)[0]
    answer = likeliest(headed, prompt)
    own = outputs_of(headed, prompt)
    step = 1e-2 * torch.randn(own.shape, generator=torch.Generator().manual_seed(3))
    before, after = head_effects(headed, prompt, own + step, answer, 4096)
    for layer in range(len(headed.layers)):

        def replace(at: int, seen: Tensor, layer: int = layer) -> Tensor | None:
            if at != layer:
                return None
            changed = seen.clone()
            changed[0, -1] += step[layer].to(seen)
            return changed

        with head_hooks(headed, replace):
            whole_layer = plain_probability(headed, prompt, answer) - before
        parts = after[layer] - before
        assert float(parts.sum()) == pytest.approx(
            whole_layer, abs=0.1 * float(parts.abs().sum()) + 1e-6
        )


def test_what_heads_write_adds_up_to_what_their_attention_does(headed, images):
    prompt = contexts(headed, images)[0]
    made: list[Tensor] = []

    def keep(_module: Any, _given: Any, put_out: Tensor) -> None:
        made.append(put_out[0, -1])

    layer = len(headed.layers) - 1
    projection = headed.heads.projections[layer]
    handle = projection.register_forward_hook(keep)
    own = outputs_of(headed, prompt)[layer].to(headed.device)
    handle.remove()
    alone = [
        headed.heads.written(layer, own * (torch.arange(4, device=own.device) == head)[:, None])
        for head in range(4)
    ]
    bias = getattr(projection, "bias", None)
    whole_layer = made[0] - (0 if bias is None else bias)
    torch.testing.assert_close(sum(alone), whole_layer, atol=1e-4, rtol=0)


def test_projections_that_are_not_called_raise(headed):
    with pytest.raises(HookError, match="were not called exactly once"):  # noqa: SIM117
        with head_hooks(headed, lambda layer, seen: None):
            pass
