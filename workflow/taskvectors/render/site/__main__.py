"""``python -m taskvectors.render.site``: all tables and figures as one page, without a network.

The page is one file: images, style and script are inside it, and its content security
policy forbids every request. It shows what the items' own files say, as they are printed.
"""

import csv
import logging
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.figures import DOTS_AN_INCH
from taskvectors.base.files import write_text
from taskvectors.base.pages import render_page
from taskvectors.render.printed import PrintedCell, read_printed

log = logging.getLogger("taskvectors")
PIXELS_AN_INCH = 120
FILTERS = ("model", "task", "metric")
EVERYONE = {"-", "–", ""}  # such rows belong to every model, or to none in particular


@dataclass(frozen=True)
class Section:
    """An item on the page. ``values`` are what the filters can choose in it, by column; ``width``
    is the figure's on the page, in CSS pixels."""

    name: str
    caption: str
    links: dict[str, str]
    values: dict[str, list[str]]
    columns: list[str] = field(default_factory=list)
    rows: list[list[PrintedCell]] = field(default_factory=list)
    image: Path | None = None
    width: int = 0

    @property
    def title(self) -> str:
        """What the item is, in a few words."""
        return title_of(self.caption)


def title_of(caption: str) -> str:
    """The beginning of a caption."""
    text = " ".join(caption.split())
    return re.split(r" \(the paper's|: |[.;](?: |$)", text, maxsplit=1)[0]


def section(name: str, results: Path, site: Path, tasks: Sequence[str]) -> Section:
    """An item from the files that its own rule made."""
    if name.startswith("figure"):
        return figure_section(results / "figures" / name, site)
    return table_section(results / "tables" / name, results, site, tasks)


def figure_section(stem: Path, site: Path) -> Section:
    """A figure; its text stands as in print, only larger."""
    caption = stem.with_suffix(".md").read_text(encoding="utf-8").strip()
    with stem.with_suffix(".csv").open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    columns = [key for key in FILTERS if rows and key in rows[0]]
    values = {key: distinct(row[key] for row in rows) for key in columns}
    png = stem.with_suffix(".png")
    with Image.open(png) as image:
        width = round(image.width * PIXELS_AN_INCH / DOTS_AN_INCH)
    links = links_to(stem, ("csv", "pdf", "png"), site)
    return Section(stem.name, caption, links, values, image=png, width=width)


def table_section(stem: Path, results: Path, site: Path, tasks: Sequence[str]) -> Section:
    """A table as it is printed; its tasks are in a column, or are columns themselves."""
    table = read_printed(stem.with_suffix(".json"), results)
    columns = table.columns
    values = {
        key: distinct(row[columns.index(key)].text for row in table.rows)
        for key in FILTERS
        if key in columns
    }
    if "task" not in columns and set(tasks) & set(columns):
        values["task"] = [task for task in tasks if task in columns]
    links = links_to(stem, ("csv", "md", "tex"), site)
    return Section(stem.name, table.caption, links, values, columns, table.rows)


def links_to(stem: Path, endings: Iterable[str], site: Path) -> dict[str, str]:
    """Links from the folder ``site`` to an item's files, by their endings."""
    return {e: Path(os.path.relpath(f"{stem}.{e}", site)).as_posix() for e in endings}


def distinct(values: Iterable[str]) -> list[str]:
    """The values that choose something, each once, in order of appearance."""
    return [value for value in dict.fromkeys(values) if value not in EVERYONE]


def page(
    experiment: str, items: Sequence[Section], absent: dict[str, str], tasks: Sequence[str]
) -> str:
    """The page; ``absent`` are the captions of the items that this experiment does not make."""
    choices = {
        key: distinct(v for item in items for v in item.values.get(key, ())) for key in FILTERS
    }
    choices["task"] = [task for task in tasks if task in choices["task"]]
    return render_page(
        "render/site/page.html.j2",
        experiment=experiment,
        items=items,
        absent={name: title_of(caption) for name, caption in absent.items()},
        choices=choices,
        everyone=EVERYONE,
    )


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--results", required=True, type=Path, help="results/<experiment>")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--items", required=True, nargs="+", help="in the order of the page")
    parser.add_argument(
        "--absent", nargs="*", default=[], type=Path, help="captions of items not made here"
    )
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    items = [section(name, args.results, args.out.parent, args.tasks) for name in args.items]
    absent = {path.stem: path.read_text(encoding="utf-8") for path in args.absent}
    write_text(args.out, page(args.experiment, items, absent, args.tasks))
    log.info("%d items, %.1f MB", len(items), args.out.stat().st_size / 1e6)


if __name__ == "__main__":
    run_command(main)
