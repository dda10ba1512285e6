"""The memory of a process and all that it started, sampled while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import psutil

from taskvectors.engine.memory import PeakMemory, sampled

INTERVAL = 0.5  # seconds


def memory_of(process: psutil.Process) -> int:
    """Bytes of a process, 0 where it has ended.

    They are its proportional set on Linux, in which a page that several processes share counts
    once; elsewhere the resident set, in which it counts for each.
    """
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        return process.memory_full_info().pss if psutil.LINUX else process.memory_info().rss
    return 0


def memory_of_tree(process: psutil.Process) -> int:
    """Bytes of a process and all its descendants together."""
    with suppress(psutil.NoSuchProcess):
        return sum(map(memory_of, [process, *process.children(recursive=True)]))
    return 0


@contextmanager
def sampled_tree(pid: int) -> Iterator[PeakMemory]:
    """Twice a second, the memory of a process and its descendants; gives the peak."""
    with sampled(partial(memory_of_tree, psutil.Process(pid)), INTERVAL) as peak:
        yield peak
