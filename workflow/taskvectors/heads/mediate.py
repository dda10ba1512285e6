"""``python -m taskvectors.heads.mediate``: what each attention head does to prompts with shuffled
labels.

Causal mediation (Todd et al., 2024): the labels of a prompt's exemplars are shuffled, so that it
shows no task; then one head's output at the last token is replaced by its mean over clean prompts,
and the probability of what is judged of the right label rises where that head carries the task. All
heads of a prompt are replaced in one pass.
"""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.progress import track
from taskvectors.base.tensors import read_tensors
from taskvectors.engine.heads import head_effects
from taskvectors.engine.patching import TOKENS_PER_PASS
from taskvectors.jobs.arguments import (
    Context,
    add_model,
    add_template,
    load_model,
    load_template,
)
from taskvectors.jobs.queries import asked
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import encode_query
from taskvectors.record.loaded import report_answers
from taskvectors.study.datasets import Item, read_items
from taskvectors.study.heads import HeadEffect, shuffled, write_effects
from taskvectors.study.predictions import ICL_MODALITY
from taskvectors.study.prompts import Template
from taskvectors.study.vectors import parse_vector_name

log = logging.getLogger("taskvectors")


@dataclass(frozen=True)
class ShuffledSet:
    """A query and its exemplars, whose ``labels`` are those of one another."""

    query: Item
    exemplars: tuple[Item, ...]
    labels: tuple[str, ...]


def shuffled_sets(
    task: str, items: Sequence[Item], prompts: int, exemplars: int, seed: int
) -> list[ShuffledSet]:
    """As many sets as ``prompts``, the queries in turn; each depends on task, seed and its number
    only. At least one label of a set is another's.

    Raises `UserError` where there are too few items, or too few different labels, to shuffle.
    """
    sets = []
    for number in range(prompts):
        query = items[number % len(items)]
        others = [item for item in items if item is not query]
        labels = {item.label for item in others}
        if exemplars < 2 or len(others) < exemplars or len(labels) < 2:
            raise UserError(
                f"{task}: {len(others)} items with {len(labels)} different labels are too few for "
                f"{exemplars} exemplars with shuffled labels beside the query; lower "
                "`mediation.exemplars` or raise the validation split in the configuration."
            )
        rng = random.Random(f"{seed}/{task}/shuffled/{number}")
        drawn = rng.sample(others, k=exemplars)
        while len({item.label for item in drawn}) < 2:
            drawn = rng.sample(others, k=exemplars)
        labels_of_others = shuffled([item.label for item in drawn], rng)
        sets.append(ShuffledSet(query, tuple(drawn), tuple(labels_of_others)))
    return sets


def encode_set(
    adapter: Adapter, template: Template, drawn: ShuffledSet, modality: str
) -> tuple[Encoded, tuple[int, ...]]:
    """The set as a prompt in one modality, and the tokens of the query's label that are judged."""
    inputs = (asked(item, modality) for item in drawn.exemplars)
    context = template.exemplars(list(zip(inputs, drawn.labels, strict=True)))
    prompt = (*context, *template.query(asked(drawn.query, modality)))
    return encode_query(adapter, prompt, template, drawn.query.label)


def mediate(
    adapter: Adapter, context: Context, specification: str, sets: list[ShuffledSet], means: Tensor
) -> tuple[list[HeadEffect], list[bool]]:
    """Every head's effect on every set; ``means`` (layers, heads, head width) are clean outputs.

    Beside them, for each set whether its prompt was cut at a delimiter.
    """
    modality, effects, forced = ICL_MODALITY[specification], [], []
    about = f"mediate {context.model} {context.task} {specification}"
    for number, drawn in enumerate(track(sets, len(sets), about)):
        encoded, label = encode_set(adapter, context.template, drawn, modality)
        before, after = head_effects(adapter, encoded, means, label, TOKENS_PER_PASS)
        forced.append(encoded.forced_boundary)
        effects += [
            HeadEffect(
                context.model, context.template.name, context.task, specification, number,
                drawn.query.entity, drawn.query.label, layer, head, before, probability,
            )
            for layer, of_layer in enumerate(after.tolist())
            for head, probability in enumerate(of_layer)
        ]  # fmt: skip
    return effects, forced


def mean_outputs(outputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """By specification, the heads' mean outputs over all seeds."""
    by_specification: dict[str, list[Tensor]] = {}
    for name, mean in outputs.items():
        by_specification.setdefault(parse_vector_name(name)[0], []).append(mean)
    return {name: torch.stack(means).mean(0) for name, means in by_specification.items()}


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/validation.jsonl")
    parser.add_argument("--outputs", required=True, type=Path, help="read/.../heads.safetensors")
    parser.add_argument("--prompts", required=True, type=int)
    parser.add_argument("--exemplars", required=True, type=int)
    parser.add_argument("--seed", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), args.task)
    items = read_items(args.items)
    sets = shuffled_sets(args.task, items, args.prompts, args.exemplars, args.seed)
    effects: list[HeadEffect] = []
    forced: list[bool] = []
    for specification, means in mean_outputs(read_tensors(args.outputs)).items():
        found, cut = mediate(adapter, context, specification, sets, means)
        effects += found
        forced += cut
    write_effects(args.out, effects)
    report_answers(forced)
    log.info("%s %s: %d effects", args.name, args.task, len(effects))


if __name__ == "__main__":
    run_command(main)
