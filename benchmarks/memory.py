"""The memory of a process and all that it started, sampled while it runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psutil

INTERVAL = 0.5  # seconds


@dataclass
class PeakMemory:
    """The largest sum so far, in bytes."""

    value: int = 0


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
def sampled(pid: int) -> Iterator[PeakMemory]:
    """Twice a second, the memory of a process and its descendants; gives the peak."""
    peak, done = PeakMemory(), threading.Event()

    def watch() -> None:
        process, ended = psutil.Process(pid), False
        while not ended:
            ended = done.wait(INTERVAL)
            peak.value = max(peak.value, memory_of_tree(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
