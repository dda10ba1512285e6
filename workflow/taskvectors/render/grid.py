"""Rows of text and images, laid out in inches: the look of the qualitative figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from taskvectors.base.figures import GREY, apply_style
from taskvectors.base.images import open_rgb, resize_to_width

LINE, HEADER, GAP = 0.135, 0.26, 0.06  # inches: a line of text, the header, around cells
SIZE = 7  # points
LETTERS_AN_INCH = 15  # below images, one point smaller
MARK = "✓ "


@dataclass(frozen=True)
class Line:
    """A line of text; bold ones begin with a tick."""

    text: str
    bold: bool = False


@dataclass(frozen=True)
class GridCell:
    """Lines of text, or images side by side as (path, what stands below it)."""

    lines: tuple[Line, ...] = ()
    images: tuple[tuple[str, str], ...] = ()


def draw_grid(
    headers: Sequence[str],
    widths: Sequence[float],
    rows: Sequence[Sequence[GridCell]],
    height: float,
) -> Figure:
    """A figure with a header and rows of cells; ``widths`` and ``height`` are inches."""
    apply_style()
    wide, tall = sum(widths), HEADER + height * max(1, len(rows))
    figure = plt.figure(figsize=(wide, tall))
    lefts = [sum(widths[:column]) for column in range(len(widths))]
    for left, header in zip(lefts, headers, strict=True):
        place = (left + GAP) / wide, 1 - GAP / tall
        figure.text(*place, header, va="top", fontsize=SIZE + 1, weight="bold")
    for number, row in enumerate(rows):
        top = tall - HEADER - height * number
        rule = Line2D([0, 1], [top / tall] * 2, color=GREY, linewidth=0.4)
        figure.add_artist(rule)
        for left, width, cell in zip(lefts, widths, row, strict=True):
            _draw_lines(figure, cell.lines, left + GAP, top - GAP)
            _draw_images(figure, cell.images, (left, top - height, width, height))
    if not rows:
        figure.text(0.5, 0.3, "nothing to show", ha="center", color=GREY)
    return figure


def _draw_lines(figure: Figure, lines: Sequence[Line], left: float, top: float) -> None:
    wide, tall = figure.get_size_inches()
    for number, line in enumerate(lines):
        figure.text(
            left / wide,
            (top - LINE * number) / tall,
            MARK + line.text if line.bold else line.text,
            va="top",
            fontsize=SIZE,
            weight="bold" if line.bold else "normal",
        )


def _draw_images(
    figure: Figure,
    images: Sequence[tuple[str, str]],
    box: tuple[float, float, float, float],
) -> None:
    if not images:
        return
    wide, tall = figure.get_size_inches()
    left, bottom, width, height = box
    each = width / len(images)
    below = [wrap(text, int(LETTERS_AN_INCH * each), break_long_words=False) for _, text in images]
    room = LINE * max(len(lines) for lines in below)
    side = min(each, height - room) - 2 * GAP
    for number, ((path, _), lines) in enumerate(zip(images, below, strict=True)):
        start = left + each * number
        bounds = (start + (each - side) / 2, bottom + room + GAP, side, side)
        scaled = (bounds[0] / wide, bounds[1] / tall, bounds[2] / wide, bounds[3] / tall)
        axis = figure.add_axes(scaled)
        axis.imshow(resize_to_width(open_rgb(Path(path))))
        axis.axis("off")
        place = (start + each / 2) / wide, (bottom + GAP / 2) / tall
        figure.text(*place, "\n".join(lines), ha="center", fontsize=SIZE - 1)
