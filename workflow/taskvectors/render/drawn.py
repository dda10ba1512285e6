"""How a drawn figure is written, with the data that it shows and its caption."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from taskvectors.base.figures import save_figure
from taskvectors.base.files import write_text
from taskvectors.render.run import Run


def write_figure(
    run: Run,
    figure: Figure,
    data: pd.DataFrame,
    samples: list[str],
    further_pages: Sequence[Figure] = (),
) -> None:
    """Write a run's figure, the data that it shows and its caption."""
    write_text(run.out.with_suffix(".csv"), data.to_csv(index=False, lineterminator="\n"))
    write_text(run.out.with_suffix(".md"), run.caption(samples) + "\n")
    pages = [figure, *further_pages]
    save_figure(pages, run.out)
    for page in pages:
        plt.close(page)
