"""Vectors that are added with a strength: one pass answers as one pass each does, and what cannot
be done is refused."""

from __future__ import annotations

import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.forward import run
from taskvectors.engine.naive import naive_sweep
from taskvectors.engine.sweep import Site, sweep
from taskvectors.engine.trees import whole

from .families import FAMILIES
from .test_contract import assert_same_answers, last_of, queries, random_vectors


def test_a_sweep_that_adds_answers_as_one_pass_per_vector_does(adapter, images):
    prompts = queries(adapter, images)
    vectors = random_vectors(adapter, 1)
    sites = [
        Site("0", layer, strength)
        for layer in range(len(adapter.layers))
        for strength in (0.5, None, 4.0)
    ]
    expected = naive_sweep(adapter, prompts, vectors, sites)
    assert len({answer.token_id for _, _, answer in expected}) > 1
    for one_pass in [sweep, cached_sweep] if adapter.branching else [cached_sweep]:
        for budget in (2 * max(len(prompt.ids) for prompt in prompts), 4096):
            batches = one_pass(adapter, prompts, vectors, sites, budget)
            assert_same_answers([one for batch in batches for one in batch], expected)


def test_nothing_that_is_added_changes_nothing(adapter, images):
    prompts = queries(adapter, images)
    nothing = {"0": torch.zeros(len(adapter.layers), adapter.width)}
    sites = [Site("0", layer, 3.0) for layer in range(len(adapter.layers))]
    ends = [(row, last_of(prompt)) for row, prompt in enumerate(prompts)]
    _, plain = run(adapter, [whole(prompt) for prompt in prompts], answers=ends)
    expected = [(n, site, plain[n]) for n in range(len(prompts)) for site in sites]
    assert_same_answers(naive_sweep(adapter, prompts, nothing, sites), expected)


def test_a_model_without_heads_is_refused(family, adapter):
    if not FAMILIES[family].heads:
        with pytest.raises(UserError, match="leave `heads` off for this model"):
            _ = adapter.heads
