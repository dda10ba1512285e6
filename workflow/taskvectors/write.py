"""``python -m taskvectors.write``: patch task vectors into queries and take the first tokens.

On the validation split every layer is patched; on the test split only the layer that
validation chose (paper, section 3), so that the test items never see the search. The
subsets and ensembles of Figure 8 are patched on test only, into image queries.
"""

import logging
from pathlib import Path

from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json
from taskvectors.jobs.arguments import (
    Context,
    add_model,
    add_template,
    load_model,
    load_template,
    load_vectors,
)
from taskvectors.jobs.patched import patch_queries, with_vectors
from taskvectors.jobs.queries import seen_queries
from taskvectors.record.loaded import report_answers
from taskvectors.study.datasets import read_items
from taskvectors.study.predictions import ICL_MODALITY, Prediction, write_predictions
from taskvectors.study.vectors import parse_vector_name, take_before_text

log = logging.getLogger("taskvectors")


def separate(vectors: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The specifications' own vectors, and the subsets and ensembles beside them."""
    full = {n: vector for n, vector in vectors.items() if parse_vector_name(n)[0] in ICL_MODALITY}
    return full, {name: vector for name, vector in vectors.items() if name not in full}


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/<split>.jsonl")
    parser.add_argument("--vectors", required=True, type=Path)
    parser.add_argument("--layer", type=Path, help="JSON with the chosen layer; all without it")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), args.task)
    vectors, before_text = take_before_text(load_vectors(adapter, args.vectors))
    full, partial = separate(vectors)
    queries = seen_queries(adapter, context.template, read_items(args.items))
    image_queries = [query for query in queries if query.modality == "image"]
    every = list(range(len(adapter.layers)))
    layers = every if args.layer is None else [read_json(args.layer)["layer"]]
    predictions: list[Prediction] = []
    for asked, own in with_vectors(queries, full, before_text):
        predictions += patch_queries(adapter, context, asked, own, layers)
    if args.layer is not None:
        predictions += patch_queries(adapter, context, image_queries, partial, layers)
    write_predictions(args.out, predictions)
    report_answers([one.forced_boundary for one in predictions])
    log.info("%s %s: %d predictions", args.name, args.task, len(predictions))


if __name__ == "__main__":
    run_command(main)
