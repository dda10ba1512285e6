"""Where the GPU's memory runs out, the batch is halved and the log says so."""

from __future__ import annotations

import logging
import sys
from itertools import chain
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from taskvectors.base.errors import UserError
from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.memory import within_memory
from taskvectors.engine.sweep import Site, sweep
from taskvectors.models.base import Adapter, Encoded


def limited(most: int):
    """Work that runs out of memory, as torch does, with more than ``most`` items."""

    def work(items):
        if len(items) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return [item * 10 for item in items]

    return work


def test_a_batch_is_halved_until_it_fits_and_the_order_is_kept(caplog):
    with caplog.at_level(logging.WARNING):
        assert within_memory(list(range(7)), limited(2)) == [0, 10, 20, 30, 40, 50, 60]
    assert "out of GPU memory with a batch of 7: going on with 3" in caplog.text


def test_a_single_prompt_that_does_not_fit_is_a_clear_error():
    with pytest.raises(UserError, match="a single prompt does not fit into the GPU's memory"):
        within_memory([1, 2], limited(0))


def test_other_errors_are_not_swallowed():
    def work(items):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        within_memory([1, 2], work)


def sweeping(monkeypatch, answer_all, name: str, most: int) -> list[tuple[int, str, int, float]]:
    """A sweep of two prompts, with memory for passes of ``most`` of what is asked at once."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=8, intermediate_size=8, num_hidden_layers=3, num_attention_heads=2,
            num_key_value_heads=2, vocab_size=50,
        )
    )  # fmt: skip
    adapter = Adapter(model, SimpleNamespace(pad_token_id=0), "tiny")
    prompts = [
        Encoded(ids, torch.arange(len(ids)).unsqueeze(0), {"query": len(ids) - 1})
        for ids in ([1, 2, 3, 4], [5, 6, 7])
    ]
    vectors = {name: torch.randn(3, 8) for name in ("a", "b")}
    sites = [Site(name, layer) for name in vectors for layer in range(3)]
    module = sys.modules[answer_all.__module__]
    done = getattr(module, name)

    def limited_pass(*arguments):
        if sum(map(len, arguments[1])) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return done(*arguments)

    monkeypatch.setattr(module, name, limited_pass)
    answered = chain.from_iterable(answer_all(adapter, prompts, vectors, sites, 1000))
    return [
        (
            number,
            site.name,
            site.layer,
            answer.token_id,
            pytest.approx(answer.logit_difference, abs=1e-6),
        )
        for number, site, answer in answered
    ]


@pytest.mark.parametrize(
    ("answer_all", "name", "most"),
    [(sweep, "ends_of_branches", 6), (cached_sweep, "one_token", 2)],
)
def test_a_prompt_that_does_not_fit_is_asked_some_of_its_sites_at_a_time(
    monkeypatch, answer_all, name, most
):
    cut = sweeping(monkeypatch, answer_all, name, most)
    monkeypatch.undo()
    assert cut == sweeping(monkeypatch, answer_all, name, 1000)
    monkeypatch.undo()
    with pytest.raises(UserError, match="a single prompt does not fit"):
        sweeping(monkeypatch, answer_all, name, 0)
