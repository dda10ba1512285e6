"""Going on with less where the GPU's memory is too small for a batch."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from taskvectors.base.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger("taskvectors")


def within_memory(
    items: Sequence[Item], work: Callable[[Sequence[Item]], list[Result]]
) -> list[Result]:
    """``work(items)``; where memory runs out, the two halves one after the other.

    Raises `UserError` where a single item does not fit.
    """
    try:
        return work(items)
    except torch.OutOfMemoryError as error:
        if len(items) == 1:
            raise UserError(
                "a single prompt does not fit into the GPU's memory; take a smaller model, a "
                "GPU with more memory, or dtype nf4 in resources/models.yaml."
            ) from error
    torch.cuda.empty_cache()
    half = len(items) // 2
    log.warning("out of GPU memory with a batch of %d: going on with %d", len(items), half)
    return within_memory(items[:half], work) + within_memory(items[half:], work)
