"""``python -m taskvectors.write``: patch task vectors into queries and take the first tokens.

On the validation split every layer is patched; on the test split only the layer that
validation chose (paper, section 3), so that the test items never see the search. The
subsets and ensembles of Figure 8 are patched on test only, into image queries. A job is done in
parts, some queries with the vectors of one seed, and a part that is finished is kept.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskvectors.average import parse_vector_name
from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.base.progress import track
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.load import load_adapter
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.sweep import Site
from taskvectors.jobs.queries import (
    Context,
    Query,
    encode_queries,
    modalities_of,
    prediction,
    states,
)
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.models.weights import DTYPES, best_device
from taskvectors.parts import Part, Parts, checkpoint_key, key_of, surroundings
from taskvectors.record.code import code_hash
from taskvectors.study.datasets import read_items
from taskvectors.study.predictions import (
    ICL_MODALITY,
    Prediction,
    join_predictions,
    method_name,
    write_predictions,
)
from taskvectors.study.prompts import find_template

log = logging.getLogger("taskvectors")
PREDICTIONS = "predictions.parquet"
SITES_PER_PART = 1024  # queries times layers, and so queries in a part


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


@dataclass(frozen=True)
class Work:
    """Some queries with some vectors; the predictions of each seed among them are a part."""

    name: str
    queries: Sequence[Query]
    vectors: dict[str, Tensor]

    def parts(self, common: dict[str, Any]) -> dict[Part, dict[str, Tensor]]:
        """The parts, by what they depend on, with the vectors of each."""
        by_seed: dict[int | None, dict[str, Tensor]] = {}
        for name, vector in self.vectors.items():
            by_seed.setdefault(parse_vector_name(name)[1], {})[name] = vector
        asked = states(self.queries)
        return {
            Part(
                f"{self.name}-{'no_seed' if seed is None else seed}",
                key_of(**common, queries=asked, vectors=vector_hashes(vectors)),
            ): vectors
            for seed, vectors in by_seed.items()
        }


def vector_hashes(vectors: dict[str, Tensor]) -> dict[str, str]:
    """A hash of the bytes of every vector."""
    return {
        name: hashlib.sha256(vector.contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
        for name, vector in vectors.items()
    }


def works(
    queries: Sequence[Query], vectors: dict[str, Tensor], layers: Sequence[int], sweep: bool
) -> list[Work]:
    """The work of a job, some queries at a time, however many seeds there are.

    A sweep of all layers leaves out the subsets and ensembles; others ask them images only.
    """
    full, partial = separate(vectors)
    images = [query for query in queries if query.modality == "image"]
    found = []
    for kind, asked, chosen in (("full", queries, full), ("partial", images, partial)):
        if kind == "partial" and sweep:
            continue
        size = max(1, SITES_PER_PART // len(layers))
        for first in range(0, len(asked) if chosen else 0, size):
            found.append(Work(f"{kind}-{first}", asked[first : first + size], chosen))
    return found


def write_missing(
    adapter: Adapter,
    context: Context,
    work: Work,
    own: dict[Part, dict[str, Tensor]],
    parts: Parts,
    layers: Sequence[int],
) -> None:
    """Make the parts of ``work`` that are missing, together: a query's prompt passes once."""
    missing = {part: vectors for part, vectors in own.items() if part in parts.missing}
    if not missing:
        return
    together = {name: vector for vectors in missing.values() for name, vector in vectors.items()}
    predictions = patch_queries(adapter, context, work.queries, together, layers)
    for part, vectors in missing.items():
        seeds = {parse_vector_name(name)[1] for name in vectors}
        with parts.making(part) as folder:
            mine = [one for one in predictions if one.seed in seeds]
            write_predictions(folder / PREDICTIONS, mine)


def main() -> None:
    parser = command_parser(__doc__)
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
    args = parse(parser)
    template = find_template(args.templates, args.template)
    adapter = load_adapter(args.model, args.name, args.dtype)
    template = fitted(template, adapter)
    vectors = read_tensors(args.vectors)
    check_vectors(adapter, vectors, args.vectors)
    layers = range(len(adapter.layers)) if args.layer is None else [read_json(args.layer)["layer"]]
    queries = encode_queries(adapter, template, read_items(args.items), modalities_of(adapter))
    context = Context(args.name, template, args.task)
    common = {
        "code": code_hash("taskvectors.write"),
        "surroundings": surroundings(best_device()),
        "model": [args.name, args.dtype, checkpoint_key(args.model)],
        "template": asdict(template),
        "layers": list(layers),
    }
    asked = works(queries, vectors, layers, sweep=args.layer is None)
    todo = [(work, work.parts(common)) for work in asked]
    folder = args.out.parent / "parts" / args.out.stem
    parts = Parts(folder, [part for _, own in todo for part in own])
    if parts.missing:
        adapter.see([query.item.image for query in queries if query.modality == "image"])
    for work, own in todo:
        write_missing(adapter, context, work, own, parts, layers)
    rows = join_predictions(args.out, parts.files(PREDICTIONS))
    log.info("%s %s: %d predictions", args.name, args.task, rows)


if __name__ == "__main__":
    run_command(main)
