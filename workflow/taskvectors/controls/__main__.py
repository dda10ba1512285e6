"""``python -m taskvectors.controls``: vectors that should do nothing, patched as the real ones are.

Beside a task's vectors: vectors read from the same prompts with their labels shuffled, with images
of noise or with irrelevant images; another task's vectors; and random ones as long as the real
ones (`taskvectors.study.controls`). Each is patched into the test queries at the layer that
validation chose for the real ones.
"""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.base.progress import track
from taskvectors.base.tensors import check_finite, write_tensors
from taskvectors.controls.draws import exchanges, random_like, with_shuffled_labels
from taskvectors.controls.reading import ShownSet, mean_vectors
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
from taskvectors.models.base import Adapter
from taskvectors.record.loaded import report_answers
from taskvectors.study.controls import (
    CONTROLS,
    OTHER_TASK,
    RANDOM,
    control_of,
    with_controls,
)
from taskvectors.study.datasets import ExemplarSet, Item, read_exemplar_sets, read_items
from taskvectors.study.predictions import Prediction, write_predictions
from taskvectors.study.vectors import take_before_text, vector_name

log = logging.getLogger("taskvectors")


def read_controls(
    adapter: Adapter,
    context: Context,
    sets: list[ExemplarSet],
    items: dict[str, Item],
    irrelevant: list[Item],
    specifications: Iterable[str],
) -> dict[str, Tensor]:
    """The controls' vectors (layers, width) by name that are read from prompts of their own.

    ``items`` are the validation items by entity, ``sets`` their exemplar sets, and ``irrelevant``
    items of another entity set, of which there may be none.
    """
    seeds = list(dict.fromkeys(drawn.seed for drawn in sets))
    vectors: dict[str, Tensor] = {}
    with TemporaryDirectory() as folder:
        found = exchanges(irrelevant, Path(folder))
        planned = [
            (specification, control, seed)
            for specification in specifications
            for control in CONTROLS[specification]
            if control in found
            for seed in seeds
        ]
        shown_as = f"read controls {context.model} {context.task}"
        for specification, control, seed in track(planned, len(planned), shown_as):
            shown = [
                ShownSet(
                    tuple(found[control](drawn, [items[name] for name in drawn.exemplars])),
                    items[drawn.query],
                )
                for drawn in sets
                if drawn.seed == seed
            ]
            read = mean_vectors(adapter, context.template, shown, specification)
            for name, vector in read.items():
                vectors[control_of(vector_name(name, seed), control)] = vector
    return vectors


def derived(
    context: Context, own: dict[str, Tensor], others: dict[str, Tensor]
) -> dict[str, Tensor]:
    """The controls' vectors by name that no prompt is read for: another task's vectors, and random
    ones as long as the task's ``own`` in every layer."""
    random = {
        control_of(name, RANDOM): random_like(vector, f"{context.model}/{context.task}/{name}")
        for name, vector in own.items()
    }
    return {control_of(name, OTHER_TASK): vector for name, vector in others.items()} | random


def check_shuffled(task: str, sets: list[ExemplarSet], items: dict[str, Item]) -> None:
    """Log how many sets have one label alone, which no order changes. Raises `UserError` where
    these are all."""
    exemplars = [[items[name] for name in drawn.exemplars] for drawn in sets]
    alike = sum(
        with_shuffled_labels(drawn, shown) == shown
        for drawn, shown in zip(sets, exemplars, strict=True)
    )
    if alike == len(sets):
        raise UserError(
            f"the validation exemplars of {task} have too few different labels to shuffle; "
            "raise `exemplars` or the validation split of its entity set in the configuration, or "
            "run it with `--config controls=false`."
        )
    log.info("%s: %d of %d exemplar sets have one label alone", task, alike, len(sets))


def patch_controls(
    adapter: Adapter, context: Context, test: list[Item], vectors: dict[str, Tensor], layer: int
) -> list[Prediction]:
    """Every test item, in every modality, patched with every vector at the chosen layer."""
    queries = seen_queries(adapter, context.template, test)
    full, before_text = take_before_text(vectors)
    return [
        answered
        for asked, own in with_vectors(queries, full, before_text)
        for answered in patch_queries(adapter, context, asked, own, [layer])
    ]


def arguments() -> argparse.Namespace:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--dataset", required=True, type=Path, help="curate/<task>")
    parser.add_argument("--vectors", required=True, type=Path, help="the task's own")
    parser.add_argument(
        "--others",
        type=Path,
        nargs="*",
        default=[],
        help="another task's, where there is one",
    )
    parser.add_argument(
        "--irrelevant",
        type=Path,
        nargs="*",
        default=[],
        help="items of another entity set, where there is one",
    )
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the chosen layer")
    parser.add_argument("--out", required=True, type=Path)
    return parse(parser)


def main() -> None:
    args = arguments()
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), args.task)
    own = with_controls(load_vectors(adapter, args.vectors))
    others: dict[str, Tensor] = {}
    for path in args.others:
        others |= with_controls(load_vectors(adapter, path))
    items = {item.entity: item for item in read_items(args.dataset / "validation.jsonl")}
    drawn = read_exemplar_sets(args.dataset / "exemplars.jsonl")
    sets = [one for one in drawn if one.split == "validation"]
    check_shuffled(args.task, sets, items)
    irrelevant = [item for path in args.irrelevant for item in read_items(path)]
    specifications = [name for name in CONTROLS if any(one.startswith(name) for one in own)]
    vectors = read_controls(adapter, context, sets, items, irrelevant, specifications)
    vectors |= derived(context, own, others)
    check_finite(vectors, "the vector", "choose float32 or bfloat16 for this model")
    test = read_items(args.dataset / "test.jsonl")
    predictions = patch_controls(adapter, context, test, vectors, read_json(args.layer)["layer"])
    write_tensors(args.out / "vectors.safetensors", vectors)
    write_predictions(args.out / "test.parquet", predictions)
    report_answers([one.forced_boundary for one in predictions])
    log.info("%s %s: %d predictions", args.name, args.task, len(predictions))


if __name__ == "__main__":
    run_command(main)
