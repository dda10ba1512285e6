"""One look for all figures: colour-blind safe, readable in greyscale, text at print size."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import seaborn as sns
from matplotlib.figure import Figure

from taskvectors.files import written_whole

matplotlib.use("Agg")

# One colour and line style per specification throughout (Okabe and Ito's palette); line
# styles and lightness differ too, so that nothing is lost in greyscale.
SPECIFICATION_COLOURS = {"text_icl": "#0072B2", "image_icl": "#E69F00", "instruction": "#009E73"}
SPECIFICATION_DASHES = {"text_icl": (), "image_icl": (4, 1.5), "instruction": (1.5, 1.2)}
BASELINE_COLOUR = "#404040"


def apply_style() -> None:
    """Set the style for figures made from now on in this process."""
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
            "pdf.fonttype": 42,
            "svg.hashsalt": "taskvectors",
        },
    )


def save_figure(figure: Figure, stem: Path) -> None:
    """Write ``stem``.pdf (vector) and ``stem``.png (200 dots an inch), without a time stamp."""
    for ending, settings in (
        (".pdf", {"metadata": {"CreationDate": None}}),
        (".png", {"dpi": 200}),
    ):
        with written_whole(stem.with_suffix(ending)) as temporary:
            figure.savefig(temporary, format=ending[1:], bbox_inches="tight", **settings)
