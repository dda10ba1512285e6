"""``python -m taskvectors.write``: patch task vectors into queries and take the first tokens.

On the validation split every layer is patched; on the test split only the layer that
validation chose (paper, section 3), so that the test items never see the search. The
subsets and ensembles of Figure 8 are patched on test only, into image queries.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from taskvectors.average import parse_vector_name
from taskvectors.curate.datasets import read_items
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.streams import read_tensors
from taskvectors.engine.sweep import Site
from taskvectors.errors import UserError, run_command
from taskvectors.files import read_json
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.models.registry import load_adapter
from taskvectors.models.weights import DTYPES
from taskvectors.predictions import ICL_MODALITY, Prediction, method_name, write_predictions
from taskvectors.progress import start_logging, track
from taskvectors.prompts import find_template
from taskvectors.queries import Context, Query, encode_queries, modalities_of, prediction

log = logging.getLogger("taskvectors")


def check_vectors(adapter: Adapter, vectors: dict[str, Tensor], path: Path) -> None:
    """Raise `UserError` with both shapes where vectors do not fit the model."""
    expected = (len(adapter.layers), adapter.width)
    for name, vector in vectors.items():
        if tuple(vector.shape) != expected:
            raise UserError(
                f"{path}: the vector {name} has shape {tuple(vector.shape)}, but "
                f"{adapter.name} has (layers, width) = {expected}; patch vectors of the same shape."
            )


def separate(vectors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The specifications' own vectors, and the subsets and ensembles beside them."""
    full = {n: vector for n, vector in vectors.items() if parse_vector_name(n)[0] in ICL_MODALITY}
    return full, {name: vector for name, vector in vectors.items() if name not in full}


def patch_queries(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    vectors: dict[str, Tensor],
    layers: Sequence[int],
) -> list[Prediction]:
    """Every query patched with every vector at every one of ``layers``."""
    sites = [Site(name, layer) for layer in layers for name in vectors]
    prompts = [query.encoded for query in queries]
    predictions = []
    passes = patched_answers(adapter, prompts, vectors, sites)
    total = len(queries) * len(sites)
    for batch in track(passes, total, f"write {context.model} {context.task}", size=len):
        for number, site, answer in batch:
            specification, seed = parse_vector_name(site.name)
            query = queries[number]
            method = method_name(specification, query.modality, "patch")
            predictions.append(
                prediction(
                    adapter, context, query, answer, method,
                    specification=specification, seed=seed, layer=site.layer,
                )
            )  # fmt: skip
    return predictions


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m taskvectors.write", description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--name", required=True, help="the model's name in predictions")
    parser.add_argument("--dtype", required=True, choices=sorted(DTYPES))
    parser.add_argument("--task", required=True)
    parser.add_argument("--templates", required=True, type=Path)
    parser.add_argument("--template", required=True)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/<split>.jsonl")
    parser.add_argument("--vectors", required=True, type=Path)
    parser.add_argument("--layer", type=Path, help="JSON with the chosen layer; all without it")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    start_logging(args.log)
    template = find_template(args.templates, args.template)
    adapter = load_adapter(args.model, args.name, args.dtype)
    template = fitted(template, adapter)
    vectors = read_tensors(args.vectors)
    check_vectors(adapter, vectors, args.vectors)
    layers = range(len(adapter.layers)) if args.layer is None else [read_json(args.layer)["layer"]]
    queries = encode_queries(adapter, template, read_items(args.items), modalities_of(adapter))
    context = Context(args.name, template, args.task)
    full, partial = separate(vectors)
    predictions = patch_queries(adapter, context, queries, full, list(layers))
    pictures = [query for query in queries if query.modality == "image"]
    if args.layer is not None and pictures and partial:
        predictions += patch_queries(adapter, context, pictures, partial, list(layers))
    write_predictions(args.out, predictions)
    log.info("%s %s: %d predictions", args.name, args.task, len(predictions))


if __name__ == "__main__":
    run_command(main)
