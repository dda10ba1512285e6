"""One look for all figures: colour-blind safe, readable in greyscale, text at print size."""

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from PIL import Image

from taskvectors.base.files import written_whole

matplotlib.use("Agg")

# One colour and line style per specification throughout (Okabe and Ito's palette); line
# styles and lightness differ too, so that nothing is lost in greyscale.
SPECIFICATION_COLOURS = {
    "text_icl": "#0072B2",
    "image_icl": "#E69F00",
    "instruction": "#009E73",
    "ensemble": "#D55E00",
}
SPECIFICATION_DASHES = {
    "text_icl": (),
    "image_icl": (4, 1.5),
    "instruction": (1.5, 1.2),
    "ensemble": (6, 1.2, 1.2, 1.2),
}
SPECIFICATION_MARKERS = {"text_icl": "o", "image_icl": "s", "instruction": "^", "ensemble": "D"}
BASELINE_COLOUR = "#404040"
GREY = "#666666"
DOTS_AN_INCH = 200  # of the PNGs
# Tasks by their order, where colour is the task (Tol's "muted" palette).
TASK_COLOURS = (
    "#332288",
    "#88CCEE",
    "#117733",
    "#DDCC77",
    "#CC6677",
    "#AA4499",
    "#44AA99",
    "#882255",
)
# The phases of the output (Figure 3): dark, middle and light, so that grey tells them apart.
PHASE_COLOURS = {"input": "#999999", "task": "#CC3311", "answer": "#332288"}
PHASE_DASHES = {"input": (1.5, 1.2), "task": (4, 1.5), "answer": ()}


def apply_style() -> None:
    """Set the style for figures made from now on in this process, whatever this machine's is."""
    matplotlib.rcdefaults()
    sns.set_theme(
        context="paper",
        style="whitegrid",
        rc={
            "font.size": 8,
            "axes.titlesize": 9,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 8,
            "lines.linewidth": 1.4,
            "grid.linewidth": 0.5,
            "hatch.linewidth": 0.4,
            "pdf.fonttype": 42,
            "text.parse_math": False,  # a dollar is one: tokens, labels and names are no formulas
            "svg.hashsalt": "taskvectors",
        },
    )


def say_absent(axis: Axes, why: str) -> None:
    """Say in an empty panel why it is empty."""
    axis.text(0.5, 0.5, why, transform=axis.transAxes, ha="center", va="center", color=GREY)
    axis.tick_params(labelbottom=False)
    axis.grid(visible=False)


def missing_glyphs(page: Figure) -> list[str]:
    """The characters of a page's texts that their fonts lack, and that are drawn as boxes."""
    lacking = set()
    for text in page.findobj(Text):
        font = get_font(findfont(text.get_fontproperties()))
        lacking |= {char for char in text.get_text() if not font.get_char_index(ord(char))}
    return sorted(lacking - {"\n"})


def save_figure(pages: Sequence[Figure], stem: Path) -> None:
    """Write ``stem``.pdf (vector, a page each) and ``stem``.png (one below the other).

    Neither has a time stamp.
    """
    with (
        written_whole(stem.with_suffix(".pdf")) as temporary,
        PdfPages(temporary, metadata={"CreationDate": None}) as pdf,
    ):
        for page in pages:
            pdf.savefig(page, bbox_inches="tight")
    drawn = [_drawn(page) for page in pages]
    size = max(image.width for image in drawn), sum(image.height for image in drawn)
    whole = Image.new("RGB", size, "white")
    for number, image in enumerate(drawn):
        whole.paste(image, (0, sum(above.height for above in drawn[:number])))
    with written_whole(stem.with_suffix(".png")) as temporary:
        whole.save(temporary, format="png", dpi=(DOTS_AN_INCH, DOTS_AN_INCH))


def _drawn(page: Figure) -> Image.Image:
    """A page as pixels."""
    buffer = io.BytesIO()
    page.savefig(buffer, format="png", dpi=DOTS_AN_INCH, bbox_inches="tight")
    return Image.open(buffer).convert("RGB")
