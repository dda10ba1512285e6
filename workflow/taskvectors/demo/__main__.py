"""``python -m taskvectors.demo``: read, average and patch task vectors of your own prompts.

Each line of the prompts file is one JSON object: ``id``; ``vector``, a name (lines that share
it are averaged into one vector); ``specification`` (text_icl, image_icl or instruction);
``exemplars``, each with ``input`` or ``image`` and ``output``, or ``instruction``; ``query``
with ``input`` or ``image``; ``label``. Paths of images are relative to the file. With ``--heads``
function vectors are made of the heads that carry the tasks, and added. The same functions serve the
workflow.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from taskvectors.base.command import command_parser, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json, write_jsonl
from taskvectors.base.progress import start_logging, track
from taskvectors.base.tensors import write_tensors
from taskvectors.demo.functions import find_functions, function_answers
from taskvectors.demo.lines import read_rows
from taskvectors.demo.prompts import (
    AskedLine,
    PromptLine,
    ask,
    constants,
    parse_line,
    shown,
    specifying,
)
from taskvectors.engine.forward import run
from taskvectors.engine.generate import generate
from taskvectors.engine.load import load_adapter
from taskvectors.engine.patching import TOKENS_PER_PASS, patched_answers, plain_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import packed, whole
from taskvectors.jobs.arguments import check_vectors
from taskvectors.jobs.named import Named, find_model
from taskvectors.models.base import Adapter
from taskvectors.models.chat import fitted
from taskvectors.models.weights import DTYPES
from taskvectors.study.first_tokens import count_first_tokens
from taskvectors.study.metrics import METRICS
from taskvectors.study.prompts import find_template

log = logging.getLogger("taskvectors")
TEMPLATES = Path(__file__).resolve().parents[3] / "resources/templates.yaml"


def read_vectors(adapter: Adapter, lines: Sequence[PromptLine]) -> dict[str, Tensor]:
    """Mean residual streams (layers, width) by vector name, float32."""
    prompts, ends = specifying(adapter, lines)
    found: dict[str, list[Tensor]] = {}
    groups = packed(prompts, [len(prompt.ids) for prompt in prompts], TOKENS_PER_PASS)
    for group in track(groups, len(prompts), f"read {adapter.name}", size=len):
        rows = [whole(prompts[number]) for number in group]
        read, _ = run(adapter, rows, [(row, ends[number]) for row, number in enumerate(group)])
        for number, residuals in zip(group, read, strict=True):
            found.setdefault(lines[number].vector, []).append(residuals.float())
    return {name: torch.stack(read).mean(0) for name, read in found.items()}


def patch_lines(
    adapter: Adapter,
    queries: Sequence[AskedLine],
    vectors: dict[str, Tensor],
    layers: Sequence[int],
    tokens: int,
) -> list[dict[str, Any]]:
    """For each line the answers of its own vector's patch, by layer."""
    patched: list[dict[str, Any]] = [{} for _ in queries]
    for name, vector in vectors.items():
        own = [number for number, asked in enumerate(queries) if asked.line.vector == name]
        prompts = [queries[number].encoded for number in own]
        sites = [Site(name, layer) for layer in layers]
        passes = patched_answers(adapter, prompts, vectors, sites)
        for batch in track(passes, len(own) * len(sites), f"patch {name}", size=len):
            for number, site, given in batch:
                asked = queries[own[number]]
                patched[own[number]][str(site.layer)] = shown(adapter, asked, given)
        if tokens > 1:
            for layer in layers:
                texts = generate(adapter, prompts, tokens, vector[layer], layer)
                for number, written in zip(own, texts, strict=True):
                    patched[number][str(layer)]["text"] = adapter.tokenizer.decode(written)
    return [{str(layer): answers[str(layer)] for layer in layers} for answers in patched]


def answer_lines(
    adapter: Adapter,
    queries: Sequence[AskedLine],
    bases: Sequence[AskedLine],
    patched: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """For each line the answers of no_context and base beside those of the patch at every layer."""
    no_context = plain_answers(adapter, [query.encoded for query in queries])
    base = plain_answers(adapter, [base.encoded for base in bases])
    return [
        {
            "id": query.line.id,
            "label": query.line.label,
            "no_context": shown(adapter, query, no_context[number]),
            "base": shown(adapter, bases[number], base[number]),
            "patch": patched[number],
        }
        for number, query in enumerate(queries)
    ]


def accuracies(
    rows: Sequence[dict[str, Any]], layers: Sequence[int], constant: dict[str, float]
) -> dict[str, Any]:
    """The share of lines that are right, by each metric: no_context, base, the patch by layer, and
    the best ``constant`` answer, which says the same whatever is asked."""

    def share(answers: Sequence[dict[str, Any]]) -> dict[str, float]:
        return {
            metric: sum(answer["right"][metric] for answer in answers) / len(answers)
            for metric in METRICS
        }

    return {
        "constant": constant,
        "no_context": share([row["no_context"] for row in rows]),
        "base": share([row["base"] for row in rows]),
        "patch": {
            str(layer): share([row["patch"][str(layer)] for row in rows]) for layer in layers
        },
    }


def warn_of_labels(queries: Sequence[AskedLine], template: str) -> None:
    """Say what the metrics cannot say about the labels of the lines of one vector."""
    for name in dict.fromkeys(asked.line.vector for asked in queries):
        own = [asked for asked in queries if asked.line.vector == name]
        labels, judged = [one.line.label for one in own], [one.label_ids for one in own]
        for caveat in count_first_tokens(labels, judged).caveats():
            log.warning("%s, template %s: %s", name, template, caveat)


def warn_of_constant(found: dict[str, Any]) -> None:
    """Say by which metrics no layer's patch is above a constant answer."""
    for metric, constant in found["constant"].items():
        best = max(layer[metric] for layer in found["patch"].values())
        if best <= constant:
            log.warning(
                "%s: at no layer is the patch right more often (%.2f at most) than one constant "
                "answer would be (%.2f)", metric, best, constant,
            )  # fmt: skip


def chosen_layers(adapter: Adapter, wanted: Sequence[int] | None) -> list[int]:
    """The layers to patch; all of them if none are named."""
    count = len(adapter.layers)
    for layer in wanted or []:
        if not 0 <= layer < count:
            raise UserError(f"--layers: {adapter.name} has layers 0 to {count - 1}, not {layer}.")
    return list(wanted) if wanted else list(range(count))


def check_names(asked: Named, source: Named) -> None:
    """Raise `UserError` where two different models, and so their vectors, have one name."""
    if asked.name == source.name and asked.revision != source.revision:
        raise UserError(
            f"--vector-model: {source.folder} is another model than {asked.folder}, but both are "
            f"called {asked.name}; give one of the folders another name."
        )


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument(
        "--model", required=True, help="a name of resources/models.yaml, or a checkpoint folder"
    )
    parser.add_argument("--vector-model", help="read the vectors in this model instead")
    parser.add_argument("--prompts", required=True, type=Path, help="JSON lines")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--template", default="generic")
    parser.add_argument("--dtype", choices=sorted(DTYPES), help="the model's own without it")
    parser.add_argument("--layers", type=int, nargs="+", help="all without it")
    parser.add_argument("--tokens", type=int, default=1, help="tokens to write per answer")
    parser.add_argument(
        "--heads", type=int, help="make function vectors of so many heads, and add them, too"
    )
    parser.add_argument(
        "--strengths", type=float, nargs="+", default=[1.0], help="how often they are added"
    )
    args = parser.parse_args()
    start_logging(None)
    if args.tokens < 1:
        raise UserError(f"--tokens: an answer has at least 1 token, not {args.tokens}.")
    with TemporaryDirectory() as images:
        answer_file(args, read_rows(args.prompts, Path(images)))


def answer_file(args: argparse.Namespace, prompts: Sequence[dict[str, Any]]) -> None:
    """Read, patch and answer all lines, and write what was found."""
    asked = find_model(args.model, args.dtype)
    source = asked if args.vector_model is None else find_model(args.vector_model, args.dtype)
    check_names(asked, source)
    adapter = load_adapter(asked.folder, asked.name, asked.dtype)
    template = fitted(find_template(TEMPLATES, args.template), adapter)
    lines = [parse_line(row, template) for row in prompts]
    layers = chosen_layers(adapter, args.layers)
    reader = adapter
    if source != asked:
        reader = load_adapter(source.folder, source.name, source.dtype)
    vectors = read_vectors(reader, lines)
    check_vectors(adapter, vectors, source.folder)
    queries = [ask(adapter, template, line, line.query) for line in lines]
    bases = [ask(adapter, template, line, line.base) for line in lines]
    warn_of_labels(queries, template.name)
    patched = patch_lines(adapter, queries, vectors, layers, args.tokens)
    rows = answer_lines(adapter, queries, bases, patched)
    functions = None
    if args.heads is not None:
        functions = find_functions(reader, template, lines, args.heads)
        check_vectors(adapter, functions.by_layer(len(adapter.layers)), source.folder)
        added = function_answers(adapter, queries, functions, layers, args.strengths)
        rows = [row | {"function": answers} for row, answers in zip(rows, added, strict=True)]
    of = {"model": source.name, "revision": source.revision}
    write_tensors(args.out / "vectors.safetensors", vectors, of)
    if functions is not None:
        write_tensors(args.out / "function_vectors.safetensors", functions.vectors, of)
        write_json(args.out / "heads.json", functions.heads)
    write_jsonl(args.out / "answers.jsonl", rows)
    found = accuracies(rows, layers, constants(adapter, queries))
    write_json(args.out / "accuracy.json", found)
    warn_of_constant(found)
    log.info("wrote %s", ", ".join(sorted(path.name for path in args.out.iterdir())))


if __name__ == "__main__":
    run_command(main)
