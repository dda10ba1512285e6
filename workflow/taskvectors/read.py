"""``python -m taskvectors.read``: activations at the delimiters, and the prompting baselines.

One forward pass per exemplar set and specification: its trunk is the exemplars, where the
task vector is read at the last delimiter, and it branches into the query as text and as a
picture, whose first tokens are the baselines base and xbase.
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from taskvectors.curate.datasets import ExemplarSet, Item, read_exemplar_sets, read_items
from taskvectors.engine.forward import run
from taskvectors.engine.memory import within_memory
from taskvectors.engine.patching import TOKENS_PER_PASS
from taskvectors.engine.streams import ActivationWriter, writing_activations
from taskvectors.engine.trees import Row, Span, cut, packed, whole
from taskvectors.errors import UserError, run_command
from taskvectors.files import write_json
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.chat import fitted
from taskvectors.models.registry import load_adapter
from taskvectors.models.weights import DTYPES
from taskvectors.predictions import ICL_MODALITY, Prediction, method_name, write_predictions
from taskvectors.progress import start_logging, track
from taskvectors.prompts import EXEMPLAR, EXEMPLARS_END, QUERY, Template, find_template, instruction
from taskvectors.queries import (
    Context,
    Query,
    asked,
    encode_queries,
    modalities_of,
    prediction,
)
from taskvectors.tasks import find_task

log = logging.getLogger("taskvectors")
SETS_AT_ONCE = 32


@dataclass(frozen=True)
class ReadJob:
    """One row: an exemplar set in one specification, and the queries asked after it.

    ``number`` is the set's row in the activations; ``read_at`` and ``answer_at`` are token
    indices in the row, the last exemplar's delimiter and each query's.
    """

    specification: str
    drawn: ExemplarSet
    number: int
    row: Row
    read_at: int
    answer_at: tuple[int, ...]
    queries: tuple[Query, ...]
    prompts: tuple[Encoded, ...]


def tensor_name(specification: str, split: str, seed: int, site: str) -> str:
    """Name of an activation tensor; ``site`` is ``exemplar`` or ``query`` (which delimiter)."""
    return f"{specification}/{split}/{seed}/{site}"


def numbered(sets: Sequence[ExemplarSet]) -> list[tuple[int, ExemplarSet]]:
    """Exemplar sets with their row in the activations of their split and seed."""
    counts: Counter[tuple[str, int]] = Counter()
    rows = []
    for drawn in sets:
        rows.append((counts[drawn.split, drawn.seed], drawn))
        counts[drawn.split, drawn.seed] += 1
    return rows


def plan(
    adapter: Adapter,
    template: Template,
    by_name: dict[str, Item],
    queries: dict[tuple[str, str], Query],
    sets: Sequence[tuple[int, ExemplarSet]],
    specifications: Sequence[str],
) -> list[ReadJob]:
    """The given exemplar sets in every exemplar specification, encoded."""
    modalities = modalities_of(adapter)
    jobs = []
    for number, drawn in sets:
        for specification in specifications:
            modality = ICL_MODALITY[specification]
            examples = [by_name[name] for name in drawn.exemplars]
            context = template.exemplars([(asked(item, modality), item.label) for item in examples])
            asks = tuple(queries[drawn.query, modality] for modality in modalities)
            prompts = tuple(
                adapter.encode((*context, *template.query(asked(query.item, query.modality))))
                for query in asks
            )
            read_at = prompts[0].marks[EXEMPLAR.name]
            for row, ends, chosen in _rows(adapter, prompts):
                kept = [tuple(part[c] for c in chosen) for part in (asks, prompts)]
                jobs.append(ReadJob(specification, drawn, number, row, read_at, ends, *kept))
    return jobs


def _rows(
    adapter: Adapter, prompts: Sequence[Encoded]
) -> list[tuple[Row, tuple[int, ...], list[int]]]:
    """Prompts that begin alike as rows: (row, where each prompt ends in it, which prompts).

    One branching row, or a row per prompt where the decoder takes no branches.
    """
    if adapter.branching:
        row = _branching(prompts)
        spans = zip(row.starts[1:], row.branches, strict=True)
        ends = tuple(start + len(branch.ids) - 1 for start, branch in spans)
        return [(row, ends, list(range(len(prompts))))]
    return [(whole(one), (len(one.ids) - 1,), [n]) for n, one in enumerate(prompts)]


def _branching(prompts: Sequence[Encoded]) -> Row:
    """Prompts that begin alike as one row. Raises `UserError` where their trunks differ."""
    ends = {prompt.marks[EXEMPLARS_END.name] + 1 for prompt in prompts}
    trunks: list[Span] = []
    branches: list[Span] = []
    for prompt in prompts:
        trunk, branch = cut(prompt, min(ends))
        trunks.append(trunk)
        branches.append(branch)
    if any(trunk.ids != trunks[0].ids for trunk in trunks):
        raise UserError(
            "the tokenizer merges the end of the exemplars with the query; "
            "choose a template whose `end` is a token boundary."
        )
    return Row(trunks[0], tuple(branches))


def read_exemplars(
    adapter: Adapter,
    context: Context,
    queries: Sequence[Query],
    sets: Sequence[ExemplarSet],
    specifications: Sequence[str],
    writer: ActivationWriter,
) -> list[Prediction]:
    """Read all exemplar sets in all specifications; stream activations, return the baselines.

    Sets are encoded a few at a time, so that memory does not grow with their number.
    """
    by_name = {query.item.entity: query.item for query in queries}
    asked_for = {(query.item.entity, query.modality): query for query in queries}
    rows = numbered(sets)
    chunks = [rows[first : first + SETS_AT_ONCE] for first in range(0, len(rows), SETS_AT_ONCE)]
    predictions = []
    for chunk in track(chunks, len(chunks), f"read {context.model} {context.task}"):
        jobs = plan(adapter, context.template, by_name, asked_for, chunk, specifications)
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
        drawn = job.drawn
        if drawn.split == "validation":
            name = tensor_name(job.specification, drawn.split, drawn.seed, "exemplar")
            writer.put(name, job.number, read[number])
        for query, prompt in zip(job.queries, job.prompts, strict=True):
            activation, answer = next(at_ends)
            if query.modality == ICL_MODALITY[job.specification]:
                name = tensor_name(job.specification, drawn.split, drawn.seed, "query")
                writer.put(name, job.number, activation)
            method = method_name(job.specification, query.modality, "base")
            predictions.append(
                prediction(
                    adapter, context, query, answer, method,
                    specification=job.specification, seed=drawn.seed, within=prompt,
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


def read_instruction(adapter: Adapter, text: str) -> torch.Tensor:
    """Block outputs (layers, width) at the last token of the bare instruction."""
    encoded = adapter.encode(instruction(text))
    read, _ = run(adapter, [whole(encoded)], [(0, encoded.marks[QUERY.name])])
    return read[0]


def activation_shapes(
    adapter: Adapter, sets: Sequence[ExemplarSet], specifications: Sequence[str], instructed: bool
) -> dict[str, tuple[int, ...]]:
    """Names and shapes (prompts, layers, width) of all tensors that a job writes."""
    counts = Counter((drawn.split, drawn.seed) for drawn in sets)
    size = (len(adapter.layers), adapter.width)
    shapes: dict[str, tuple[int, ...]] = {}
    for specification in specifications:
        for (split, seed), count in counts.items():
            for site in ("exemplar", "query") if split == "validation" else ("query",):
                shapes[tensor_name(specification, split, seed, site)] = (count, *size)
    if instructed:
        shapes["instruction"] = (1, *size)
    return shapes


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m taskvectors.read", description=__doc__)
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
    parser.add_argument("--log", type=Path)
    args = parser.parse_args()
    start_logging(args.log)
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
    instructed = "instruction" in args.specifications
    shapes = activation_shapes(adapter, sets, icl, instructed)
    path = args.out / "activations.safetensors"
    with writing_activations(path, shapes, adapter.dtype) as writer:
        predictions = read_exemplars(adapter, context, queries, sets, icl, writer)
        if instructed:
            writer.put("instruction", 0, read_instruction(adapter, task.instruction))
    predictions += read_no_context(adapter, context, queries)
    write_predictions(args.out / "baselines.parquet", predictions)
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
    log.info("%s %s: %d predictions", args.name, task.name, len(predictions))


if __name__ == "__main__":
    run_command(main)
