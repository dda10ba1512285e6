"""``python -m taskvectors.instructions``: a task's instruction with noise, patched and prompted.

As in Table 9 of the paper's ICML version. Every wording of the task in resources/tasks.yaml is read
as the plain instruction is and patched into the test queries, at the layer that validation chose;
so is the mean of their vectors. Beside that each wording, the plain one first, stands before the
query in the prompt.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json
from taskvectors.base.progress import track
from taskvectors.engine.patching import plain_answers
from taskvectors.jobs.arguments import Context, add_model, add_template, load_model, load_template
from taskvectors.jobs.instructed import instructed, read_instruction
from taskvectors.jobs.patched import patch_queries
from taskvectors.jobs.queries import (
    Query,
    modalities_of,
    prediction,
    seen_queries,
)
from taskvectors.models.base import Adapter
from taskvectors.models.judged import encode_query
from taskvectors.record.loaded import report_answers
from taskvectors.study.datasets import Item, read_items
from taskvectors.study.instructions import MEAN, worded, wordings_of
from taskvectors.study.predictions import Prediction, method_name, write_predictions
from taskvectors.study.tasks import find_task
from taskvectors.study.vectors import INSTRUCTION, parse_vector_name

log = logging.getLogger("taskvectors")


def wording_vectors(adapter: Adapter, wordings: Mapping[str, str]) -> dict[str, Tensor]:
    """The vectors (layers, width) of all wordings but the plain one, in float32, and their mean."""
    noisy = {name: text for name, text in wordings.items() if name != INSTRUCTION}
    vectors = {name: read_instruction(adapter, text)[0].float() for name, text in noisy.items()}
    return {**vectors, worded(MEAN): torch.stack(list(vectors.values())).mean(0)}


def prompt_queries(
    adapter: Adapter, context: Context, items: Sequence[Item], wordings: Mapping[str, str]
) -> list[Prediction]:
    """Every item, in every modality, after every wording. Their images have been seen before."""
    predictions = []
    about = f"prompt {context.model} {context.task}"
    for name, text in track(list(wordings.items()), len(wordings), about):
        specification, seed = parse_vector_name(name)
        queries = []
        for modality in modalities_of(adapter):
            for item in items:
                prompt = instructed(text, context.template, item, modality)
                encoded = encode_query(adapter, prompt, context.template, item.label)
                queries.append(Query(item, modality, *encoded))
        answers = plain_answers(adapter, [query.encoded for query in queries])
        for query, answer in zip(queries, answers, strict=True):
            method = method_name(specification, query.modality, "base")
            predictions.append(
                prediction(
                    adapter, context, query, answer, method,
                    specification=specification, seed=seed,
                )
            )  # fmt: skip
    return predictions


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--tasks", required=True, type=Path)
    parser.add_argument("--task", required=True)
    parser.add_argument("--items", required=True, type=Path, help="curate/<task>/test.jsonl")
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the chosen layer")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    wordings = wordings_of(find_task(args.tasks, args.task))
    items = read_items(args.items)
    adapter = load_model(args)
    context = Context(args.name, load_template(args, adapter), args.task)
    queries = seen_queries(adapter, context.template, items)
    vectors = wording_vectors(adapter, wordings)
    predictions = patch_queries(
        adapter, context, queries, vectors, [read_json(args.layer)["layer"]]
    )
    predictions += prompt_queries(adapter, context, items, wordings)
    write_predictions(args.out, predictions)
    report_answers([one.forced_boundary for one in predictions])
    log.info("%s %s: %d predictions", args.name, args.task, len(predictions))


if __name__ == "__main__":
    run_command(main)
