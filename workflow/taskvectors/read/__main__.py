"""``python -m taskvectors.read``: activations at the delimiters, and the prompting baselines.

One forward pass per exemplar set and specification: its trunk is the exemplars, where the
task vector is read at the last delimiter, and it branches into the query as text and as an
image, whose first tokens are the baselines base and xbase. The same passes read the mean of the
exemplars' tokens, the context, and with ``--heads`` the mean output of every attention head at that
delimiter.
"""

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import write_json
from taskvectors.base.progress import track
from taskvectors.base.tensors import check_finite, unwritten, write_tensors
from taskvectors.engine.contexts import read_contexts
from taskvectors.engine.forward import run
from taskvectors.engine.heads import read_heads
from taskvectors.engine.memory import within_memory
from taskvectors.engine.patching import TOKENS_PER_PASS, Begun, plain_answers, until_text
from taskvectors.engine.trees import packed
from taskvectors.jobs.arguments import (
    Context,
    add_model,
    add_template,
    load_model,
    load_template,
)
from taskvectors.jobs.instructed import read_instruction
from taskvectors.jobs.queries import Query, encode_queries, modalities_of, prediction
from taskvectors.models.base import Adapter
from taskvectors.read.plan import SeedSets, SetRow, seed_sets, set_rows
from taskvectors.record.loaded import report_answers
from taskvectors.study.datasets import SPLITS, read_exemplar_sets, read_items
from taskvectors.study.predictions import (
    ICL_MODALITY,
    Prediction,
    method_name,
    write_predictions,
)
from taskvectors.study.tasks import find_task
from taskvectors.study.vectors import (
    BEFORE_TEXT_SITE,
    CONTEXT_SITE,
    EXEMPLAR_SITE,
    INSTRUCTION,
    QUERY_SITE,
    vector_name,
)

log = logging.getLogger("taskvectors")
SETS_AT_ONCE = 64


def read_group(
    adapter: Adapter,
    context: Context,
    queries: dict[tuple[str, str], Query],
    group: SeedSets,
    outputs: Tensor | None,
) -> tuple[dict[str, Tensor], list[Prediction]]:
    """The activations (sets, layers, width) of a group of sets by name, and its baselines.

    ``queries`` are by entity and modality; ``outputs`` (sets, layers, heads, head width), if any,
    are filled with what the heads put out. Sets are encoded some at a time, so that memory does
    not grow with their number.
    """
    shape = (len(group.sets), len(adapter.layers), adapter.width)
    activations = {group.activation(site): unwritten(shape, adapter.dtype) for site in group.sites}
    predictions: list[Prediction] = []

    def read_rows(batch: Sequence[SetRow]) -> list[Prediction]:
        return read_batch(adapter, context, group, batch, activations, outputs)

    for first in range(0, len(group.sets), SETS_AT_ONCE):
        numbers = range(first, min(first + SETS_AT_ONCE, len(group.sets)))
        rows = set_rows(adapter, context.template, queries, group, numbers)
        for packed_rows in packed(rows, [len(one.row) for one in rows], TOKENS_PER_PASS):
            predictions += within_memory([rows[number] for number in packed_rows], read_rows)
    return activations, predictions


def read_batch(
    adapter: Adapter,
    context: Context,
    group: SeedSets,
    batch: Sequence[SetRow],
    activations: dict[str, Tensor],
    outputs: Tensor | None,
) -> list[Prediction]:
    """One forward pass: activations at both delimiters and of the context, and an answer at each
    query's."""
    sites = [(place, one.read_at) for place, one in enumerate(batch)]
    ends = [(place, at) for place, one in enumerate(batch) for at in one.answer_at]
    with ExitStack() as beside:
        contexts = heads = None
        if group.is_averaged:
            contexts = beside.enter_context(read_contexts(adapter, [at for _, at in sites]))
        if outputs is not None:
            heads = beside.enter_context(read_heads(adapter, sites))
        read, answers = run(adapter, [one.row for one in batch], sites + ends, answers=ends)
    kept = [place for place, one in enumerate(batch) if one.site == EXEMPLAR_SITE]
    numbers = [batch[place].number for place in kept]
    if contexts is not None:
        activations[group.activation(CONTEXT_SITE)][numbers] = contexts.on_host()[kept]
    if outputs is not None and heads is not None:
        outputs[numbers] = heads.on_host()[kept]
    prompts = [prompt for one in batch for prompt in one.prompts]
    begun = [Begun(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True)]
    at_ends = iter(zip(read[len(sites) :], until_text(adapter, begun), strict=True))
    predictions = []
    for place, one in enumerate(batch):
        if group.is_averaged and one.site is not None:
            like = activations[group.activation(QUERY_SITE)]
            name = group.activation(one.site)
            activations.setdefault(name, unwritten(tuple(like.shape), like.dtype))
            activations[name][one.number] = read[place]
        for query, prompt in zip(one.queries, one.prompts, strict=True):
            activation, answer = next(at_ends)
            if query.modality == ICL_MODALITY[group.specification]:
                activations[group.activation(QUERY_SITE)][one.number] = activation
            method = method_name(group.specification, query.modality, "base")
            predictions.append(
                prediction(
                    adapter, context, query, answer, method,
                    specification=group.specification, seed=group.seed, within=prompt,
                )
            )  # fmt: skip
    return predictions


def unread_heads(adapter: Adapter, group: SeedSets, asked: bool) -> Tensor | None:
    """Room for the heads' outputs of a group whose vectors are read, if they are asked for."""
    if not asked or not group.is_averaged:
        return None
    shape = (len(group.sets), len(adapter.layers), adapter.heads.count, adapter.heads.width)
    return unwritten(shape, adapter.dtype)


def read_no_context(
    adapter: Adapter, context: Context, queries: Sequence[Query]
) -> list[Prediction]:
    """The queries without any exemplar or instruction."""
    answers = plain_answers(adapter, [query.encoded for query in queries])
    return [
        prediction(adapter, context, query, answer, "no_context")
        for query, answer in zip(queries, answers, strict=True)
    ]


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--tasks", required=True, type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--specifications", required=True, nargs="+", choices=sorted(ICL_MODALITY))
    parser.add_argument("--dataset", required=True, type=Path, help="curate/<task>")
    parser.add_argument("--heads", action="store_true", help="read attention heads, too")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    task = find_task(args.tasks, args.task)
    items = {split: read_items(args.dataset / f"{split}.jsonl") for split in SPLITS}
    sets = read_exemplar_sets(args.dataset / "exemplars.jsonl")
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), task.name)
    modalities = modalities_of(adapter)
    every = [item for split in SPLITS for item in items[split]]
    queries = encode_queries(adapter, context.template, every, modalities)
    if "image" in modalities:
        adapter.see([item.image for item in every])
    by_name = {(query.item.entity, query.modality): query for query in queries}
    icl = [
        name
        for name in args.specifications
        if name != INSTRUCTION and ICL_MODALITY[name] in modalities
    ]
    groups = seed_sets(sets, icl)
    activations: dict[str, Tensor] = {}
    heads: dict[str, Tensor] = {}
    predictions: list[Prediction] = []
    for group in track(groups, len(sets) * len(icl), f"read {args.name} {task.name}", size_of):
        outputs = unread_heads(adapter, group, args.heads)
        read, answered = read_group(adapter, context, by_name, group, outputs)
        activations |= read
        predictions += answered
        if outputs is not None:
            heads[vector_name(group.specification, group.seed)] = outputs.float().mean(0)
    predictions += read_no_context(adapter, context, queries)
    if INSTRUCTION in args.specifications:
        activations[INSTRUCTION] = read_instruction(adapter, task.instruction)
    remedy = "choose float32 or bfloat16 for this model"
    check_finite(activations, "the activation", remedy)
    check_finite(heads, "the heads' mean output", remedy)
    write_tensors(args.out / "activations.safetensors", activations)
    if args.heads:
        write_tensors(args.out / "heads.safetensors", heads)
    write_predictions(args.out / "baselines.parquet", predictions)
    report_answers([one.forced_boundary for one in predictions])
    write_json(
        args.out / "activations.json",
        {
            "model": args.name,
            "template": context.template.name,
            "task": task.name,
            "layers": len(adapter.layers),
            "width": adapter.width,
            "dtype": args.dtype,
            "sites": {
                EXEMPLAR_SITE: "delimiter of the last exemplar, where the task vector is read",
                BEFORE_TEXT_SITE: "the same before a text query, where its tokens are others",
                CONTEXT_SITE: "mean over all tokens before the last exemplar's delimiter",
                QUERY_SITE: "delimiter of the query",
            },
            "seeds": sorted({drawn.seed for drawn in sets}),
            "rows": {split: [item.entity for item in items[split]] for split in SPLITS},
        },
    )
    log.info("%s %s: %d predictions", args.name, task.name, len(predictions))


def size_of(group: SeedSets) -> int:
    """How many prompts a group has."""
    return len(group.sets)


if __name__ == "__main__":
    run_command(main)
