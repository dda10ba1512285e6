"""A table as it is printed: as Markdown, as LaTeX, and as cells for pages."""

import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_json, write_text
from taskvectors.base.frames import write_frame


@dataclass(frozen=True)
class PrintedCell:
    """A text, and the image before it where there is one: its path from the repository's root,
    and what it shows. A grey text says little: its caption tells why."""

    text: str
    image: str = ""
    alt: str = ""
    grey: bool = False


@dataclass(frozen=True)
class PrintedTable:
    """A caption and rows of cells, one for each column."""

    caption: str
    columns: list[str]
    rows: list[list[PrintedCell]]


def write_table(
    table: pd.DataFrame,
    printed: pd.DataFrame,
    caption: str,
    stem: Path,
    widths: Sequence[float] | None = None,
) -> None:
    """Write ``stem``.csv (full precision), and .md, .tex and .json as printed, with the caption.

    ``printed`` has texts, or `PrintedCell` where there are images. ``widths`` are its columns'
    in centimetres, for a table of running text over pages.
    """
    write_frame(stem.with_suffix(".csv"), table)
    cells = as_cells(printed).map(lambda cell: markdown_cell(cell, stem.parent))
    cells = cells.rename(columns=markdown_escape)
    markdown = cells.to_markdown(index=False, disable_numparse=True)
    write_text(stem.with_suffix(".md"), f"{caption}\n\n{markdown}\n")
    write_text(stem.with_suffix(".tex"), latex(printed, caption, stem.name, widths))
    write_json(stem.with_suffix(".json"), asdict(printed_table(printed, caption)))


def read_printed(path: Path, results: Path) -> PrintedTable:
    """A table from the .json that `write_table` wrote.

    Raises `UserError` where a row has more or fewer cells than there are columns, or an image
    is not in ``results``.
    """
    read = read_json(path)
    rows = [[PrintedCell(**cell) for cell in row] for row in read["rows"]]
    if any(len(row) != len(read["columns"]) for row in rows):
        raise UserError(f"{path} has rows of unequal length; make it again.")
    for image in (cell.image for row in rows for cell in row if cell.image):
        inside = Path(image).resolve().is_relative_to(results.resolve())
        if not inside or not Path(image).is_file():
            raise UserError(f"{path}: the image {image} is not in {results}; make it again.")
    return PrintedTable(read["caption"], read["columns"], rows)


def printed_table(printed: pd.DataFrame, caption: str) -> PrintedTable:
    """A table of texts or `PrintedCell`, with its caption."""
    return PrintedTable(caption, list(printed.columns), as_cells(printed).to_numpy().tolist())


def as_cells(printed: pd.DataFrame) -> pd.DataFrame:
    """The same table, of `PrintedCell` throughout."""
    return printed.map(lambda c: c if isinstance(c, PrintedCell) else PrintedCell(str(c)))


def markdown_cell(cell: PrintedCell, folder: Path) -> str:
    """A cell for Markdown in ``folder``; an image is shown, small, from where it lies."""
    text = markdown_escape(cell.text)
    if not cell.image:
        return text
    source = Path(os.path.relpath(cell.image, folder)).as_posix()
    alt = escape(" ".join(cell.alt.split())).replace("|", "&#124;")
    return f'<img src="{source}" alt="{alt}" height="40"> {text}'


# What Markdown reads as more than text, GitHub's formulas among it.
MARKS = re.compile(r"[\\|$<&*`~]|(?<![^\W_])_|_(?![^\W_])|\](?=\()")


def markdown_escape(text: str) -> str:
    """Plain text for a cell of a Markdown table, on one line."""
    return MARKS.sub(r"\\\g<0>", re.sub(r"\s*[\r\n]\s*", " ", text))


def latex_cell(cell: PrintedCell) -> str:
    """A cell as LaTeX; an image is found from the repository's root."""
    image = rf"\includegraphics[height=2em]{{{cell.image}}} " if cell.image else ""
    text = latex_escape(cell.text)
    if text.startswith(("[", "*")):  # which, first in a row, would be an option of the line before
        text = f"{{}}{text}"
    return image + (rf"\textcolor{{gray}}{{{text}}}" if cell.grey else text)


def latex(
    printed: pd.DataFrame, caption: str, name: str, widths: Sequence[float] | None = None
) -> str:
    """A printed table as LaTeX with booktabs rules; with ``widths``, one that runs over pages."""
    cells = as_cells(printed).map(latex_cell).rename(columns=latex_escape)
    about: dict[str, Any] = {
        "index": False,
        "escape": False,
        "caption": latex_escape(caption),
        "label": f"tab:{name}",
    }
    if widths is None:
        body = cells.to_latex(**about, column_format="l" * cells.shape[1], position="t")
        return needs(body) + body
    columns = "".join(rf">{{\raggedright\arraybackslash}}p{{{width}cm}}" for width in widths)
    body = cells.to_latex(**about, column_format=columns, longtable=True)
    return f"{needs(body)}{{\\scriptsize\n{body}}}\n"


def needs(body: str) -> str:
    """The comment line that says which packages a LaTeX table takes."""
    packages = [package for command, package in PACKAGES.items() if command in body]
    return f"% needs \\usepackage{{{','.join(packages)}}}\n"


PACKAGES = {
    r"\toprule": "booktabs",
    r"\begin{longtable}": "longtable",
    r"\arraybackslash": "array",
    r"\includegraphics": "graphicx",
    r"\textcolor": "xcolor",
}
"""Which package a command of the LaTeX tables comes from."""


TEX = {
    **{char: f"\\{char}" for char in "&%_#${}"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\n": " ",
    "\r": " ",
    "–": "--",
    "°": r"\textdegree{}",
    "◇": r"\ensuremath{\diamond}",
    "␣": r"\textvisiblespace{}",
    "↵": r"\ensuremath{\hookleftarrow}",
}


def latex_escape(text: str) -> str:
    """Plain text as LaTeX."""
    return "".join(TEX.get(char, char) for char in text)
