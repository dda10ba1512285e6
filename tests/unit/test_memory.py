"""Where the GPU's memory runs out, the batch is halved and the log says so."""

from __future__ import annotations

import logging

import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.engine.memory import within_memory


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
