"""``python -m taskvectors.read``: activations at the delimiters, and the prompting baselines.

One forward pass per exemplar set and specification: its trunk is the exemplars, where the
task vector is read at the last delimiter, and it branches into the query as text and as a
picture, whose first tokens are the baselines base and xbase.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from taskvectors.curate.datasets import ExemplarSet, Item, read_exemplar_sets, read_items
from taskvectors.engine.forward import run
from taskvectors.engine.streams import ActivationWriter, writing_activations
from taskvectors.engine.trees import Row, Span, cut, packed, whole
from taskvectors.errors import UserError, run_command
from taskvectors.files import write_json
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.registry import DTYPES, load_adapter
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
TOKENS_PER_PASS = 4096


@dataclass(frozen=True)
class ReadJob:
    """One exemplar set in one specification, with its queries as branches."""

    specification: str
    drawn: ExemplarSet
    number: int
    row: Row
    read_at: int
    queries: tuple[Query, ...]
    prompts: tuple[Encoded, ...]

    @property
    def answer_at(self) -> list[int]:
        """Index in the row of each query's delimiter."""
        starts = self.row.starts[1:]
        return [start + len(b.ids) - 1 for start, b in zip(starts, self.row.branches, strict=True)]


def tensor_name(specification: str, split: str, seed: int, site: str) -> str:
    """Name of an activation tensor; ``site`` is ``exemplar`` or ``query`` (which delimiter)."""
    return f"{specification}/{split}/{seed}/{site}"


def plan(
    adapter: Adapter,
    template: Template,
    items: Sequence[Item],
    sets: Sequence[ExemplarSet],
    specifications: Sequence[str],
) -> list[ReadJob]:
    """Every exemplar set in every exemplar specification that the model can take."""
    modalities = modalities_of(adapter)
    by_name = {item.entity: item for item in items}
    queries = {
        (query.item.entity, query.modality): query
        for query in encode_queries(adapter, template, list(items), modalities)
    }
    numbers: dict[tuple[str, int], int] = {}
    jobs = []
    for drawn in sets:
        number = numbers[drawn.split, drawn.seed] = numbers.get((drawn.split, drawn.seed), -1) + 1
        for specification in specifications:
            modality = ICL_MODALITY[specification]
            examples = [by_name[name] for name in drawn.exemplars]
            pairs = [(asked(item, modality), item.label) for item in examples]
            context = template.exemplars(pairs)
            asks = tuple(queries[drawn.query, modality] for modality in modalities)
            prompts = tuple(
                adapter.encode((*context, *template.query(asked(query.item, query.modality))))
                for query in asks
            )
            row = _branching(prompts)
            jobs.append(
                ReadJob(
                    specification, drawn, number, row, prompts[0].marks[EXEMPLAR.name],
                    asks, prompts,
                )
            )  # fmt: skip
    return jobs


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
    adapter: Adapter, context: Context, jobs: Sequence[ReadJob], writer: ActivationWriter
) -> list[Prediction]:
    """Run the jobs in batches; stream activations to ``writer``, return the baselines."""
    predictions = []
    batches = list(packed(jobs, [len(job.row) for job in jobs], TOKENS_PER_PASS))
    for group in track(batches, len(batches), f"read {context.model} {context.task}"):
        batch = [jobs[number] for number in group]
        sites = [(number, job.read_at) for number, job in enumerate(batch)]
        ends = [(number, at) for number, job in enumerate(batch) for at in job.answer_at]
        read, answers = run(adapter, [job.row for job in batch], sites + ends, answers=ends)
        at_ends = iter(zip(read[len(sites) :], answers, strict=True))
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
    adapter: Adapter, jobs: Sequence[ReadJob], instructed: bool
) -> dict[str, tuple[int, ...]]:
    """Names and shapes (prompts, layers, width) of all tensors that a job writes."""
    counts: dict[str, int] = {}
    for job in jobs:
        sites = ["exemplar"] if job.drawn.split == "validation" else []
        if ICL_MODALITY[job.specification] in {query.modality for query in job.queries}:
            sites.append("query")
        for site in sites:
            name = tensor_name(job.specification, job.drawn.split, job.drawn.seed, site)
            counts[name] = max(counts.get(name, 0), job.number + 1)
    shapes = {name: (count, len(adapter.layers), adapter.width) for name, count in counts.items()}
    if instructed:
        shapes["instruction"] = (1, len(adapter.layers), adapter.width)
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
    adapter = load_adapter(args.model, args.name, DTYPES[args.dtype])
    context = Context(args.name, template, task.name)
    modalities = modalities_of(adapter)
    icl = [
        name
        for name in args.specifications
        if name != "instruction" and ICL_MODALITY[name] in modalities
    ]
    jobs = plan(adapter, template, items, sets, icl)
    instructed = "instruction" in args.specifications
    shapes = activation_shapes(adapter, jobs, instructed)
    path = args.out / "activations.safetensors"
    with writing_activations(path, shapes, adapter.dtype) as writer:
        predictions = read_exemplars(adapter, context, jobs, writer)
        if instructed:
            writer.put("instruction", 0, read_instruction(adapter, task.instruction))
    queries = encode_queries(adapter, template, items, modalities)
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
            "dtype": str(adapter.dtype).removeprefix("torch."),
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
