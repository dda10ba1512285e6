"""Plain HTML pages that work without a network: text is escaped, links are http(s) only."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgba

THUMBNAIL = 40  # pixels, the longer side
STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding: .5rem 0 }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .5rem; text-align: left }
pre { overflow-x: auto; line-height: 1.35 } .warning { color: #a40000; font-weight: bold }
"""


class Markup(str):
    """Text that is HTML already."""


def document(title: str, *parts: str) -> str:
    """A whole page."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; cells are escaped unless they are `Markup`."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in header)
    body = "\n".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return (
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>\n"
        f"<tbody>{body}</tbody></table>"
    )


def _cell(cell: str) -> str:
    return cell if isinstance(cell, Markup) else escape(cell)


def link(url: str, text: str) -> str:
    """A link to a web page; of any other address the text alone."""
    if not url.startswith(("https://", "http://")):
        return text
    return Markup(f'<a href="{escape(url, quote=True)}">{escape(text)}</a>')


def thumbnail(path: Path, text: str) -> str:
    """The image, small, inside the page; the words "missing" where it cannot be opened."""
    try:
        image = open_rgba(path)
    except (UserError, FileNotFoundError):
        return Markup('<span class="warning">missing</span>')
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    packed = io.BytesIO()
    image.save(packed, "PNG")
    data = base64.b64encode(packed.getvalue()).decode("ascii")
    return Markup(f'<img alt="{escape(text, quote=True)}" src="data:image/png;base64,{data}">')
