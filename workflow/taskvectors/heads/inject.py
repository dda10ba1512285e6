"""``python -m taskvectors.heads.inject``: vectors added to the queries of the test split, after the
layer and with the strength that validation chose.

With another task on the same entities there are composed vectors as well: a task's text ICL vector
and what the other's image ICL vector has beyond its text ICL vector, the step from text to image.
They are patched like task vectors, or, composed of function vectors, added like those.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json
from taskvectors.heads.trials import TaskVectors, Trial, Vectors, read_task_vectors, try_out
from taskvectors.jobs.arguments import (
    Context,
    add_model,
    add_template,
    load_model,
    load_template,
)
from taskvectors.jobs.queries import seen_queries
from taskvectors.record.loaded import report_answers
from taskvectors.study.datasets import read_items
from taskvectors.study.heads import FUNCTION, INJECT
from taskvectors.study.predictions import write_predictions
from taskvectors.study.vectors import COMPOSED, parse_vector_name, vector_name

log = logging.getLogger("taskvectors")


def composed(own: Vectors, other: Vectors) -> Vectors:
    """By seed, a task's text ICL vector plus an ``other`` task's step from text to image; empty
    where that task has no vectors of images."""
    made = {}
    for name, vector in own.items():
        specification, seed = parse_vector_name(name)
        image = vector_name("image_icl", seed)
        if specification == "text_icl" and image in other:
            made[vector_name(COMPOSED, seed)] = vector + other[image] - other[name]
    return made


def trials(
    own: TaskVectors, other: TaskVectors | None, injection: Mapping[str, Any], layer: int
) -> list[Trial]:
    """What is tried on test; ``injection`` has the chosen layer and strength by way, and ``layer``
    is where task vectors are patched."""
    added, function = injection[INJECT], injection[FUNCTION]
    at_function = [function["layer"]], [function["strength"]]
    found = [
        Trial(FUNCTION, own.functions, *at_function),
        Trial(INJECT, own.averaged, [added["layer"]], [added["strength"]]),
    ]
    if other is not None:
        found += [
            Trial(FUNCTION, composed(own.functions, other.functions), *at_function),
            Trial("patch", composed(own.averaged, other.averaged), [layer], [None]),
        ]
    return found


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/test.jsonl")
    parser.add_argument("--vectors", required=True, type=Path, help="the task's own")
    parser.add_argument("--function-vectors", required=True, type=Path, help="of all tasks")
    parser.add_argument("--injection", required=True, type=Path, help="JSON with what was chosen")
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the patched layer")
    parser.add_argument(
        "--other",
        nargs=2,
        metavar=("TASK", "VECTORS"),
        help="another task on the same entities, and its own vectors",
    )
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), args.task)
    own = read_task_vectors(adapter, args.task, args.vectors, args.function_vectors)
    other = None
    if args.other:
        task, averaged = args.other
        other = read_task_vectors(adapter, task, Path(averaged), args.function_vectors)
    queries = seen_queries(adapter, context.template, read_items(args.items))
    layer = read_json(args.layer)["layer"]
    tried = trials(own, other, read_json(args.injection), layer)
    predictions = [one for one, _ in try_out(adapter, context, queries, tried, own.before_text)]
    write_predictions(args.out, predictions)
    report_answers([one.forced_boundary for one in predictions])
    log.info("%s %s: %d predictions", args.name, args.task, len(predictions))


if __name__ == "__main__":
    run_command(main)
