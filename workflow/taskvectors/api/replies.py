"""What models said: one reply, and what a sweep of layers found; both print well in a notebook."""

import base64
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import pandas as pd

from taskvectors.base.images import open_rgb
from taskvectors.study.constant import MARK, best_constant
from taskvectors.study.prompts import ImageInput, Text

HEIGHT = 64  # pixels of an image in a notebook


def shown_html(asked: Text | ImageInput) -> str:
    """A query's input as HTML; an image is in the page itself, small, while its model is loaded."""
    if isinstance(asked, Text):
        return escape(asked.text)
    path = Path(asked.path)
    if not path.is_file():
        return escape(path.name)
    image, small = open_rgb(path), BytesIO()
    image.thumbnail((image.width, HEIGHT))
    image.save(small, "PNG")
    data = base64.b64encode(small.getvalue()).decode()
    return f'<img height="{HEIGHT}" alt="{escape(path.name)}" src="data:image/png;base64,{data}">'


@dataclass(frozen=True, repr=False)
class ModelReply:
    """What a model said to a query: its ``text``, and of the first token how far its logit leads
    over the runner-up's. ``how`` says what was done to it; an image in ``asked`` is the model's own
    copy, as it was seen."""

    asked: Text | ImageInput
    how: str
    text: str
    token: str
    logit_difference: float

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.how}: {self.text!r}>"

    def _repr_html_(self) -> str:
        cells = (shown_html(self.asked), escape(self.how), f"<b>{escape(self.text)}</b>")
        return "<table><tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr></table>"


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """First tokens by layer: ``rows`` has query, layer, token, its ids, logit_difference and, where
    there are labels, the label, what is judged of it, paper and strict
    (`taskvectors.study.metrics`)."""

    rows: pd.DataFrame

    def accuracy(self, metric: str = "paper") -> pd.Series:
        """The share of queries that are right, by layer.

        >>> sweep(model, ["Italy"], vector, ["Rome"]).accuracy().index.tolist()
        [0, 1, 2]
        """
        return self.rows.groupby("layer")[metric].mean()

    def constant(self, metric: str = "paper") -> float:
        """The share that the best constant answer would have right, whatever is asked.

        >>> sweep(model, ["Italy", "Peru"], vector, ["Rome", "Lima"]).constant()
        0.5
        """
        return best_constant(self.rows[self.rows["layer"] == 0], metric)

    def best_layer(self, metric: str = "paper") -> int:
        """The first layer at which most queries are right."""
        return int(self.accuracy(metric).idxmax())

    def __repr__(self) -> str:
        queries = self.rows["query"].nunique()
        return f"<{queries} queries at {self.rows['layer'].nunique()} layers>"

    def _repr_html_(self) -> str:
        shown, note = self.rows, ""
        if "paper" in shown:
            constant = self.constant()
            texts = [f"{one:.2f}{MARK if one <= constant else ''}" for one in self.accuracy()]
            shown = pd.DataFrame([texts], ["accuracy"], self.accuracy().index)
            note = f"<p>{MARK} not above what one constant answer earns, {constant:.2f}</p>"
        return f'<div style="overflow-x: auto">{shown.to_html()}{note}</div>'
