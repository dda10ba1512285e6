"""Half precision: the precisions that the paper's models run in, on every architecture class."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskvectors.engine.load import load_adapter
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.sweep import Site

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
