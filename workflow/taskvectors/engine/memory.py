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
    items: Sequence[Item],
    work: Callable[[Sequence[Item]], list[Result]],
    work_apart: Callable[[Item], list[Result]] | None = None,
) -> list[Result]:
    """``work(items)``; where memory runs out, the two halves one after the other.

    Where a single item does not fit it is left to ``work_apart``, which does it in parts. Raises
    `UserError` where there is no such way.
    """
    try:
        return work(items)
    except torch.OutOfMemoryError as error:
        if len(items) == 1 and work_apart is None:
            raise UserError(
                "a single prompt does not fit into the GPU's memory; take a smaller model, a "
                "GPU with more memory, or dtype nf4 in resources/models.yaml."
            ) from error
    torch.cuda.empty_cache()
    if len(items) == 1 and work_apart is not None:
        return work_apart(items[0])
    half = len(items) // 2
    log.warning("out of GPU memory with a batch of %d: going on with %d", len(items), half)
    first, second = (within_memory(part, work, work_apart) for part in (items[:half], items[half:]))
    return first + second
