"""The command that collects from the test wiki."""

from __future__ import annotations

import sys
from pathlib import Path

from mediawiki.server import Wiki


def command(wiki: Wiki, folder: Path, titles: list[str], *more: str) -> list[str]:
    """The command line for a table of ``titles``."""
    table = folder / "mammals.csv"
    rows = "".join(f"{title},{title},,Genus species\n" for title in titles)
    table.write_text(f"entity,title,emoji,latin\n{rows}", encoding="utf-8")
    return [
        *(sys.executable, "-m", "taskvectors.collect", "--rendering", "wikipedia"),
        *("--resized", "lanczos"),
        *("--entities", str(table), "--out", str(folder / "out"), "--api-url", wiki.url),
        *("--cache", str(folder / "cache"), *more),
    ]
