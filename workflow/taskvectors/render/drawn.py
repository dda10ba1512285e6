"""How a drawn figure is written, with the data that it shows and its caption."""

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.base.figures import save_figure
from taskvectors.base.files import write_text
from taskvectors.base.frames import write_frame
from taskvectors.render.item import ShownItem


def write_figure(
    item: ShownItem, pages: Sequence[Figure], data: pd.DataFrame, samples: list[str]
) -> None:
    """Write an item's figure, the data that it shows and its caption."""
    write_frame(item.out.with_suffix(".csv"), data)
    write_text(item.out.with_suffix(".md"), item.caption(samples) + "\n")
    save_figure(pages, item.out)
    for page in pages:
        plt.close(page)
