"""Half precision: the precisions that the paper's models run in, on every architecture class.

Answers are unembedded in float32, so that they differ from the models' own half-precision logits by
the rounding of those: 2 ** -8 of a logit in bfloat16, 2 ** -11 in float16.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskvectors.engine.forward import read_answers
from taskvectors.engine.load import load_adapter
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.models import unembedding
from taskvectors.models.base import Adapter

from .families import FAMILIES
from .test_contract import contexts, outputs, queries, random_vectors

ROUNDING = 0.1  # of logits of about 1, after sums in another order


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_answers_as_the_naive_loop_does(family, folder: Path, images, dtype, device):
    adapter = load_adapter(folder, family, dtype, device)
    assert adapter.dtype == getattr(torch, dtype)
    prompts = queries(adapter, images)
    vectors = random_vectors(adapter, 1)
    sites = [Site("0", layer) for layer in range(len(adapter.layers))]
    naive = naive_sweep(adapter, prompts, vectors, sites)
    expected = {(number, site): answer for number, site, answer in naive}
    found = [one for batch in patched_answers(adapter, prompts, vectors, sites) for one in batch]
    assert len(found) == len(expected)
    for number, site, answer in found:
        other = expected[number, site]
        if answer.token_id == other.token_id:
            assert answer.logit_difference == pytest.approx(other.logit_difference, abs=ROUNDING)
        else:  # a tie, which rounding decides
            assert max(answer.logit_difference, other.logit_difference) < ROUNDING
    for prompt in contexts(adapter, images):
        assert outputs(adapter, prompt).dtype == adapter.dtype


# A plain head, a tied one whose logits are capped, one with a bias, one that suppresses tokens.
HEADS = ["llava", "gemma2", "gptj", "chameleon"]
UNITS = {"bfloat16": 2**-8, "float16": 2**-11}  # half the distance of two numbers around 1


@pytest.fixture(params=HEADS)
def headed(request, tmp_path, device, monkeypatch):
    """Load a family in a precision; its vocabulary is unembedded in many blocks."""
    monkeypatch.setattr(unembedding, "TOKENS_AT_ONCE", 7)
    FAMILIES[request.param].save(tmp_path)
    return lambda dtype: load_adapter(tmp_path, request.param, dtype, device)


def streams(adapter: Adapter, count: int) -> torch.Tensor:
    found = torch.randn(count, adapter.width, generator=torch.Generator().manual_seed(2))
    return found.to(adapter.device, adapter.dtype)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", list(UNITS))
def test_half_precision_is_unembedded_in_float32(headed, dtype):
    adapter = headed(dtype)
    residuals = streams(adapter, 2000)
    logits = adapter.logits(residuals)
    assert logits.dtype == torch.float32
    head = adapter.unembedding
    exact = adapter.final_norm(residuals).double() @ head.weight.double().T
    exact = exact if head.bias is None else exact + head.bias.double()
    cap = getattr(adapter.model.config.get_text_config(), "final_logit_softcapping", None)
    exact = exact if cap is None else cap * torch.tanh(exact / cap)
    allowed = logits > torch.finfo(torch.float32).min  # Chameleon's image tokens are not
    assert allowed.float().mean() > 0.5
    torch.testing.assert_close(logits[allowed].double(), exact[allowed], atol=1e-5, rtol=1e-5)
    best = exact.where(allowed, -torch.inf).topk(2, dim=-1)
    answers = read_answers(adapter, residuals, str)
    assert [answer.token_id for answer in answers] == best.indices[:, 0].tolist()
    leads = torch.tensor([answer.logit_difference for answer in answers])
    assert bool((leads > 0).all())  # no ties
    expected = (best.values[:, 0] - best.values[:, 1]).float().cpu()
    torch.testing.assert_close(leads, expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("dtype", list(UNITS))
def test_the_models_own_half_precision_logits_are_those_rounded(headed, dtype, images):
    adapter = headed(dtype)
    prompt = contexts(adapter, images)[0]
    ids = torch.tensor([prompt.ids], device=adapter.device)
    own = adapter.model(input_ids=ids).logits[0, -1].float()
    ours = adapter.logits(outputs(adapter, prompt)[-1].to(adapter.device))
    allowed = ours > torch.finfo(torch.float32).min
    off = (own - ours)[allowed].abs().max()
    # A pass of two masks rounds differently in its layers, too.
    assert 0 < off < 20 * UNITS[dtype] * ours[allowed].abs().max()


@torch.inference_mode()
def test_float32_is_the_models_own_to_the_bit(headed, images):
    adapter = headed("float32")
    residuals = streams(adapter, 50)
    own = adapter.unembedding(adapter.final_norm(residuals))
    assert torch.equal(unembedding.unembed(adapter.unembedding, adapter.final_norm(residuals)), own)
