"""What vectors decode to, and how alike they are."""

from collections.abc import Mapping

import pandas as pd
import torch

from taskvectors.api.given import is_whole, quoted
from taskvectors.api.model import Model
from taskvectors.api.vectors import TaskVector, check_fits, check_vector
from taskvectors.base.errors import UserError
from taskvectors.score.decode import probabilities


def lens(model: Model, vector: TaskVector, top: int = 5) -> pd.DataFrame:
    """The logit lens: the vector's likeliest tokens after every layer, through the model's own
    final norm and unembedding. Columns layer, rank, token, probability.

    Raises `UserError` where the vector does not fit the model.

    >>> lens(model, vector, top=2)["rank"].tolist()
    [1, 2, 1, 2, 1, 2]
    """
    check_fits(vector, model)
    vocabulary = len(model.adapter.unembedding.weight)
    if not is_whole(top, 1, vocabulary):
        raise UserError(f"{quoted(top)} tokens cannot be shown; give 1 to {vocabulary}.")
    best = probabilities(model.adapter, vector.tensor).topk(top)
    rows = [
        {
            "layer": layer,
            "rank": rank,
            "token": model.adapter.tokenizer.decode([token]),
            "probability": p,
        }
        for layer, (tokens, likely) in enumerate(
            zip(best.indices.tolist(), best.values.tolist(), strict=True)
        )
        for rank, (token, p) in enumerate(zip(tokens, likely, strict=True), start=1)
    ]
    return pd.DataFrame(rows)


def compare(vectors: Mapping[str, TaskVector], layer: int) -> pd.DataFrame:
    """The cosine similarity of every two vectors after one layer, by their names.

    Raises `UserError` where they are not of one shape, or there is no such layer.

    >>> text = read(model, [("France", "Paris")])
    >>> rule = read(model, instruction="The capital city of the country:")
    >>> float(compare({"text": text, "instruction": rule}, layer=2).loc["text", "text"].round(4))
    1.0
    """
    if not isinstance(vectors, Mapping):
        raise UserError(f"the vectors are {quoted(vectors)}; give them by names, as a dict.")
    for vector in vectors.values():
        check_vector(vector)
    shapes = {tuple(one.tensor.shape) for one in vectors.values()}
    if len(shapes) != 1:
        raise UserError(
            f"vectors of shapes {sorted(shapes)} cannot be compared; take those of one."
        )
    ((layers, _),) = shapes
    if not is_whole(layer, 0, layers - 1):
        raise UserError(f"these vectors have layers 0 to {layers - 1}, not {quoted(layer)}.")
    here = torch.stack([one.tensor[layer].double() for one in vectors.values()])
    unit = torch.nn.functional.normalize(here, dim=1)
    return pd.DataFrame((unit @ unit.T).numpy(), index=list(vectors), columns=list(vectors))
