"""Progress that a person can see: a bar on a terminal, plain lines in a log file."""

import logging
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

Tracked = TypeVar("Tracked")
SECONDS_BETWEEN_LINES = 10.0


def start_logging(log: Path | None) -> None:
    """Send log lines to ``log`` if given, and to stderr in any case."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        handlers.append(logging.FileHandler(log, mode="w", encoding="utf-8"))
    logging.basicConfig(
        level=logging.WARNING,
        format="%(asctime)s %(message)s",
        datefmt="%H:%M:%S",
        handlers=handlers,
        force=True,
    )
    logging.getLogger("taskvectors").setLevel(logging.INFO)


def track(
    items: Iterable[Tracked], total: int, what: str, size: Callable[[Tracked], int] = lambda item: 1
) -> Iterator[Tracked]:
    """Yield ``items`` while showing how many of ``total`` are done; an item counts ``size``.

    On a terminal this is a bar; the log gets a line at most every ten seconds and one
    at the end.
    """
    logger = logging.getLogger("taskvectors")
    began = last = time.monotonic()
    done = 0
    with tqdm(total=total, desc=what, disable=not sys.stderr.isatty(), leave=False) as bar:
        for item in items:
            yield item
            done += size(item)
            bar.update(size(item))
            now = time.monotonic()
            if now - last >= SECONDS_BETWEEN_LINES and done < total:
                last = now
                left = (now - began) / done * (total - done)
                logger.info("%s: %d of %d, about %.0f s left", what, done, total, left)
    logger.info("%s: %d of %d in %.0f s", what, done, total, time.monotonic() - began)
