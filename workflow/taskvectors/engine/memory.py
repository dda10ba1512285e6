"""Memory: going on with less where a GPU's is too small for a batch; the most that was in use."""

import logging
import platform
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil
import torch

from taskvectors.base.errors import UserError

Item = TypeVar("Item")
Result = TypeVar("Result")
log = logging.getLogger("taskvectors")
SAMPLED_EVERY = 0.002  # seconds


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


@dataclass
class PeakMemory:
    """The most bytes so far."""

    value: int = 0


@contextmanager
def sampled(measure: Callable[[], int], seconds: float) -> Iterator[PeakMemory]:
    """The largest number of bytes that ``measure`` gives within, asked every so many seconds."""
    peak, done = PeakMemory(), threading.Event()

    def watch() -> None:
        ended = False
        while not ended:
            peak.value = max(peak.value, measure())
            ended = done.wait(seconds)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()


@contextmanager
def peak_memory(device: torch.device) -> Iterator[PeakMemory]:
    """The most memory in use within: allocated on a GPU, to the byte; on a CPU the resident memory
    of this process, which is sampled."""
    if device.type == "cuda":
        peak = PeakMemory()
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.value = torch.cuda.max_memory_allocated(device)
        return
    process = psutil.Process()
    with sampled(lambda: process.memory_info().rss, SAMPLED_EVERY) as peak:
        yield peak


def device_name(device: torch.device) -> str:
    """The card, or the processor with the number of threads that torch uses of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor_name()}, {torch.get_num_threads()} threads"


def processor_name(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor as Linux names it, elsewhere its kind."""
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
