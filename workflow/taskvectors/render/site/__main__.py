"""``python -m taskvectors.render.site``: all tables and figures as one page, without a network.

The page is one file: images, style and script are inside it, and its content security
policy forbids every request. It shows what the items' own files say, as they are printed.
"""

from __future__ import annotations

import base64
import csv
import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from PIL import Image

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.figures import DOTS_AN_INCH
from taskvectors.base.files import write_text
from taskvectors.render.captions import REPORT

log = logging.getLogger("taskvectors")
HERE = Path(__file__).resolve().parent
PIXELS_AN_INCH = 120
FILTERS = ("model", "task", "metric")
EVERYONE = {"-", "–", ""}  # such rows belong to every model, or to none in particular
IMAGE = re.compile(r'<img src="([^"<>]+)" alt="([^"<>]*)" height="\d+">(.*)')


@dataclass(frozen=True)
class Cell:
    """A cell as it is printed; an image is a data URI."""

    text: str
    image: str = ""
    alt: str = ""


@dataclass(frozen=True)
class Shown:
    """An item on the page. ``values`` are what the filters can choose in it, by column."""

    name: str
    title: str
    caption: str
    links: dict[str, str]
    columns: list[str] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    image: str = ""
    width: int = 0
    values: dict[str, list[str]] = field(default_factory=dict)


def data_uri(path: Path) -> str:
    """A PNG image as a data URI."""
    encoded = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:image/png;base64,{encoded}"


def image_width(path: Path) -> int:
    """A figure's width on the page in CSS pixels: its text stands as in print, only larger."""
    with Image.open(path) as image:
        return round(image.width * PIXELS_AN_INCH / DOTS_AN_INCH)


def read_markdown(path: Path) -> tuple[str, list[list[str]]]:
    """The caption and the table's lines (the first names the columns) of an item's ``.md``.

    Raises `UserError` where a line has more or fewer cells than the first.
    """
    caption, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    lines = [line for line in body.splitlines() if line.startswith("|")]
    cells = [
        [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in lines
    ]
    table = cells[:1] + cells[2:]
    if any(len(row) != len(table[0]) for row in table):
        raise UserError(f"{path} has lines of unequal length; make it again.")
    return caption.strip(), table


def as_cell(text: str, folder: Path, root: Path) -> Cell:
    """A printed cell; an image in it is taken inside. Raises `UserError` outside ``root``."""
    found = IMAGE.match(text)
    if found is None:
        return Cell(text)
    source, alt, rest = found.groups()
    path = (folder / source).resolve()
    if not path.is_relative_to(root.resolve()) or not path.is_file():
        raise UserError(f"{folder}: the image {source} is not in {root}; make the table again.")
    return Cell(rest.strip(), data_uri(path), alt)


def distinct(values: Iterable[str]) -> list[str]:
    """The values that choose something, each once, in order of appearance."""
    return [value for value in dict.fromkeys(values) if value not in EVERYONE]


def show_item(name: str, results: Path, site: Path, tasks: Sequence[str]) -> Shown:
    """An item from the files that its own rule made."""
    is_figure = name.startswith("figure")
    stem = results / ("figures" if is_figure else "tables") / name
    caption, lines = read_markdown(stem.with_suffix(".md"))
    endings = ("csv", "pdf", "png") if is_figure else ("csv", "md", "tex")
    links = {e: Path(os.path.relpath(f"{stem}.{e}", site)).as_posix() for e in endings}
    about = {"name": name, "title": title_of(name), "caption": caption, "links": links}
    if is_figure:
        with stem.with_suffix(".csv").open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader(handle))
        values = {
            key: distinct(row[key] for row in rows) for key in FILTERS if rows and key in rows[0]
        }
        png = stem.with_suffix(".png")
        return Shown(**about, image=data_uri(png), width=image_width(png), values=values)
    columns, *body = lines
    values = {
        key: distinct(row[columns.index(key)] for row in body) for key in FILTERS if key in columns
    }
    if "task" not in columns and set(tasks) & set(columns):
        values["task"] = [task for task in tasks if task in columns]
    rows = [[as_cell(cell, stem.parent, results) for cell in row] for row in body]
    return Shown(**about, columns=columns, rows=rows, values=values)


def title_of(name: str) -> str:
    """What an item is, in a few words: the beginning of its caption's text."""
    text = " ".join((REPORT / f"{name}.rst").read_text(encoding="utf-8").split())
    return re.split(r" \(the paper's|: |[.;](?: |$)", text, maxsplit=1)[0]


def write_site(
    experiment: str, items: Sequence[Shown], absent: Sequence[str], tasks: Sequence[str], out: Path
) -> None:
    """Write the page; ``absent`` are items that this experiment does not make."""
    environment = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    choices = {
        key: distinct(v for item in items for v in item.values.get(key, ())) for key in FILTERS
    }
    choices["task"] = [task for task in tasks if task in choices["task"]]
    page = environment.get_template("page.html.j2").render(
        experiment=experiment,
        items=items,
        absent=[(name, title_of(name)) for name in absent],
        choices=choices,
        everyone=EVERYONE,
    )
    write_text(out, page)


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--results", required=True, type=Path, help="results/<experiment>")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--items", required=True, nargs="+", help="in the order of the page")
    parser.add_argument("--absent", nargs="*", default=[], help="items that are not made here")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    shown = [show_item(name, args.results, args.out.parent, args.tasks) for name in args.items]
    write_site(args.experiment, shown, args.absent, args.tasks, args.out)
    log.info("%d items, %.1f MB", len(shown), args.out.stat().st_size / 1e6)


if __name__ == "__main__":
    run_command(main)
