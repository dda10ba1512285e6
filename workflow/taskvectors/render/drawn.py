"""How a drawn figure is written, with the data that it shows and its caption."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.base.figures import missing_glyphs, save_figure
from taskvectors.base.files import write_text
from taskvectors.base.frames import write_frame
from taskvectors.render.item import ShownItem


def boxes_sentence(pages: Sequence[Figure]) -> list[str]:
    """Which characters are boxes in a figure; nothing where its fonts have all."""
    lacking = sorted({char for page in pages for char in missing_glyphs(page)})
    if not lacking:
        return []
    named = [f"{char} (U+{ord(char):04X})" for char in lacking if char.isprintable()]
    named += [f"U+{ord(char):04X}" for char in lacking if not char.isprintable()]
    return [f"Boxes are characters that the figure's font lacks: {', '.join(named)}."]


def write_figure(
    item: ShownItem, pages: Sequence[Figure], data: pd.DataFrame, samples: list[str]
) -> None:
    """Write an item's figure, the data that it shows and its caption."""
    write_frame(item.out.with_suffix(".csv"), data)
    sentences = [*samples, *boxes_sentence(pages)]
    write_text(item.out.with_suffix(".md"), item.caption(sentences) + "\n")
    save_figure(pages, item.out)
    for page in pages:
        plt.close(page)
