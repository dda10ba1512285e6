"""``python -m taskvectors.read``: activations at the delimiters, and the prompting baselines.

One forward pass per exemplar set and specification: its trunk is the exemplars, where the
task vector is read at the last delimiter, and it branches into the query as text and as a
image, whose first tokens are the baselines base and xbase. A job is done in parts, one per
specification, split and seed, and a part that is finished is kept.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import write_json
from taskvectors.base.progress import track
from taskvectors.base.tensors import ActivationWriter, writing_activations
from taskvectors.engine.forward import run
from taskvectors.engine.load import load_adapter
from taskvectors.engine.memory import within_memory
from taskvectors.engine.patching import TOKENS_PER_PASS
from taskvectors.engine.trees import packed, whole
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
from taskvectors.read.plan import ReadJob, ReadPart, plan, read_parts
from taskvectors.record.code import code_hash
from taskvectors.study.datasets import read_exemplar_sets, read_items
from taskvectors.study.predictions import (
    ICL_MODALITY,
    Prediction,
    join_predictions,
    method_name,
    write_predictions,
)
from taskvectors.study.prompts import QUERY, find_template, instruction
from taskvectors.study.tasks import find_task

log = logging.getLogger("taskvectors")
SETS_AT_ONCE = 64
ACTIVATIONS, BASELINES = "activations.safetensors", "baselines.parquet"
NO_CONTEXT = "no_context"


def read_part(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    part: ReadPart,
    writer: ActivationWriter,
) -> list[Prediction]:
    """Read all sets of a part; stream its activations, return its baselines.

    Sets are encoded some at a time, so that memory does not grow with their number.
    """
    by_name = {(query.item.entity, query.modality): query for query in queries}
    predictions = []
    for first in range(0, len(part.sets), SETS_AT_ONCE):
        numbers = range(first, min(first + SETS_AT_ONCE, len(part.sets)))
        jobs = plan(adapter, context.template, by_name, part, numbers)
        for group in packed(jobs, [len(job.row) for job in jobs], TOKENS_PER_PASS):
            predictions += within_memory(
                [jobs[n] for n in group],
                lambda batch: read_batch(adapter, context, batch, writer),
            )
    return predictions


def read_batch(
    adapter: Adapter, context: Context, batch: Sequence[ReadJob], writer: ActivationWriter
) -> list[Prediction]:
    """One forward pass: activations at both delimiters, and an answer at each query's."""
    sites = [(number, job.read_at) for number, job in enumerate(batch)]
    ends = [(number, at) for number, job in enumerate(batch) for at in job.answer_at]
    read, answers = run(adapter, [job.row for job in batch], sites + ends, answers=ends)
    at_ends = iter(zip(read[len(sites) :], answers, strict=True))
    predictions = []
    for number, job in enumerate(batch):
        part = job.part
        if "exemplar" in part.sites:
            writer.put(part.tensor_name("exemplar"), job.number, read[number])
        for query, prompt in zip(job.queries, job.prompts, strict=True):
            activation, answer = next(at_ends)
            if query.modality == ICL_MODALITY[part.specification]:
                writer.put(part.tensor_name("query"), job.number, activation)
            method = method_name(part.specification, query.modality, "base")
            predictions.append(
                prediction(
                    adapter, context, query, answer, method,
                    specification=part.specification, seed=part.seed, within=prompt,
                )
            )  # fmt: skip
    return predictions


def read_no_context(
    adapter: Adapter, context: Context, queries: Sequence[Query]
) -> list[Prediction]:
    """The queries without any exemplar or instruction."""
    predictions = []
    rows = [whole(query.encoded) for query in queries]
    for group in packed(rows, [len(row) for row in rows], TOKENS_PER_PASS):
        ends = [(number, queries[index].position) for number, index in enumerate(group)]
        _, answers = run(adapter, [rows[index] for index in group], answers=ends)
        predictions += [
            prediction(adapter, context, queries[index], answer, "no_context")
            for index, answer in zip(group, answers, strict=True)
        ]
    return predictions


def make(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    part: ReadPart | None,
    folder: Path,
) -> None:
    """Write the files of a part, or of the queries without context where there is none."""
    if part is None:
        predictions = read_no_context(adapter, context, queries)
    else:
        shapes = part.shapes(adapter)
        with writing_activations(folder / ACTIVATIONS, shapes, adapter.dtype) as writer:
            predictions = read_part(adapter, context, queries, part, writer)
    write_predictions(folder / BASELINES, predictions)


def read_instruction(adapter: Adapter, text: str) -> torch.Tensor:
    """Residual streams (layers, width) at the last token of the bare instruction."""
    encoded = adapter.encode(instruction(text))
    read, _ = run(adapter, [whole(encoded)], [(0, encoded.marks[QUERY.name])])
    return read[0]


def keyed(
    parts: Sequence[ReadPart], queries: Sequence[Query], common: dict[str, Any]
) -> dict[Part, ReadPart | None]:
    """The parts of a job by what they depend on: ``common``, their split and their sets; and the
    queries without context."""
    found: dict[Part, ReadPart | None] = {}
    for part in parts:
        asked = states([query for query in queries if query.item.split == part.split])
        sets = [asdict(drawn) for drawn in part.sets]
        key = key_of(**common, specification=part.specification, queries=asked, sets=sets)
        found[Part(part.name, key)] = part
    found[Part(NO_CONTEXT, key_of(**common, queries=states(queries)))] = None
    return found


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--name", required=True, help="the model's name in predictions")
    parser.add_argument("--dtype", required=True, choices=sorted(DTYPES))
    parser.add_argument("--tasks", required=True, type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--templates", required=True, type=Path)
    parser.add_argument("--template", required=True)
    parser.add_argument("--specifications", required=True, nargs="+", choices=sorted(ICL_MODALITY))
    parser.add_argument("--dataset", required=True, type=Path, help="curate/<task>")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    task = find_task(args.tasks, args.task)
    template = find_template(args.templates, args.template)
    items = [
        item
        for split in ("validation", "test")
        for item in read_items(args.dataset / f"{split}.jsonl")
    ]
    sets = read_exemplar_sets(args.dataset / "exemplars.jsonl")
    adapter = load_adapter(args.model, args.name, args.dtype)
    template = fitted(template, adapter)
    context = Context(args.name, template, task.name)
    modalities = modalities_of(adapter)
    icl = [
        name
        for name in args.specifications
        if name != "instruction" and ICL_MODALITY[name] in modalities
    ]
    queries = encode_queries(adapter, template, items, modalities)
    common = {
        "code": code_hash("taskvectors.read"),
        "surroundings": surroundings(best_device()),
        "model": [args.name, args.dtype, checkpoint_key(args.model)],
        "template": asdict(template),
    }
    wanted = keyed(read_parts(sets, icl), queries, common)
    parts = Parts(args.out / "parts", list(wanted))
    if parts.missing and "image" in modalities:
        # All at once and in one order, so that no number depends on which parts were kept.
        adapter.see([item.image for item in items])
    what = f"read {context.model} {context.task}, parts"
    for part in track(parts.missing, len(parts.missing), what):
        with parts.making(part) as folder:
            make(adapter, context, queries, wanted[part], folder)
    shapes = {}
    for part in filter(None, wanted.values()):
        shapes |= part.shapes(adapter)
    instructed = "instruction" in args.specifications
    if instructed:
        shapes["instruction"] = (1, len(adapter.layers), adapter.width)
    with writing_activations(args.out / ACTIVATIONS, shapes, adapter.dtype) as writer:
        for path in parts.files(ACTIVATIONS):
            writer.copy(path)
        if instructed:
            writer.put("instruction", 0, read_instruction(adapter, task.instruction))
    rows = join_predictions(args.out / BASELINES, parts.files(BASELINES))
    write_json(
        args.out / "activations.json",
        {
            "model": args.name,
            "template": template.name,
            "task": task.name,
            "layers": len(adapter.layers),
            "width": adapter.width,
            "dtype": args.dtype,
            "sites": {
                "exemplar": "delimiter of the last exemplar, where the task vector is read",
                "query": "delimiter of the query",
            },
            "rows": {
                split: [item.entity for item in items if item.split == split]
                for split in ("validation", "test")
            },
        },
    )
    log.info("%s %s: %d predictions", args.name, task.name, rows)


if __name__ == "__main__":
    run_command(main)
