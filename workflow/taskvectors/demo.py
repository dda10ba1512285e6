"""``python -m taskvectors.demo``: read, average and patch task vectors of your own prompts.

Each line of the prompts file is one JSON object: ``id``; ``vector``, a name (lines that share
it are averaged into one vector); ``specification`` (text_icl, image_icl or instruction);
``exemplars``, each with ``input`` or ``image`` and ``output``, or ``instruction``; ``query``
with ``input`` or ``image``; ``label``. The same functions serve the workflow.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from taskvectors.engine.forward import Answer, run
from taskvectors.engine.generate import generate
from taskvectors.engine.patching import patched_answers
from taskvectors.engine.streams import write_tensors
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole
from taskvectors.errors import UserError, run_command
from taskvectors.files import read_jsonl, write_jsonl
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.registry import load_adapter
from taskvectors.models.weights import DTYPES
from taskvectors.progress import start_logging, track
from taskvectors.prompts import (
    EXEMPLAR,
    QUERY,
    Picture,
    Prompt,
    Template,
    Text,
    find_template,
    instruction,
)
from taskvectors.schemas import check
from taskvectors.write import check_vectors

log = logging.getLogger("taskvectors")
TEMPLATES = Path(__file__).resolve().parents[2] / "resources/templates.yaml"


@dataclass(frozen=True)
class Line:
    """One line of the prompts file, as prompts.

    ``specified`` is what the vector is read from, at ``read_mark``; ``query`` is asked alone
    and patched; ``base`` is the query in the context of the specification.
    """

    id: str
    vector: str
    label: str
    specified: Prompt
    read_mark: str
    query: Prompt
    base: Prompt


def parse_line(row: dict[str, Any], template: Template) -> Line:
    """A checked row as prompts."""
    query = template.query(_asked(row["query"]))
    if row["specification"] == "instruction":
        specified, mark = instruction(row["instruction"]), QUERY.name
        base: Prompt = (Text(row["instruction"] + template.end), *query)
    else:
        pairs = [(_asked(exemplar), exemplar["output"]) for exemplar in row["exemplars"]]
        specified, mark = template.exemplars(pairs), EXEMPLAR.name
        base = (*specified, *query)
    return Line(row["id"], row["vector"], row["label"], specified, mark, query, base)


def _asked(shown: dict[str, str]) -> Text | Picture:
    return Text(shown["input"]) if "input" in shown else Picture(shown["image"])


def read_lines(path: Path, template: Template) -> list[Line]:
    """Read and check the prompts. Raises `UserError` naming file and line."""
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        check(row, "demo", f"{path}, line {number}")
    if not rows:
        raise UserError(f"{path} has no prompts; write one JSON object a line.")
    return [parse_line(row, template) for row in rows]


def read_vectors(adapter: Adapter, lines: Sequence[Line]) -> dict[str, Tensor]:
    """Mean block outputs (layers, width) by vector name, float32."""
    found: dict[str, list[Tensor]] = {}
    for line in track(lines, len(lines), f"read {adapter.name}"):
        encoded = adapter.encode(line.specified)
        read, _ = run(adapter, [whole(encoded)], [(0, encoded.marks[line.read_mark])])
        found.setdefault(line.vector, []).append(read[0].float())
    return {name: torch.stack(read).mean(0) for name, read in found.items()}


def answer(adapter: Adapter, encoded: Encoded) -> Answer:
    """The first token after the prompt's delimiter."""
    _, answers = run(adapter, [whole(encoded)], answers=[(0, encoded.marks[QUERY.name])])
    return answers[0]


def shown(adapter: Adapter, encoded: Encoded, given: Answer) -> dict[str, Any]:
    """An answer with the place where it was given, as the results file has it."""
    position = encoded.marks[QUERY.name]
    return {
        "token_id": given.token_id,
        "token": adapter.tokenizer.decode([given.token_id]),
        "margin": given.margin,
        "position": position,
        "neighbourhood": adapter.neighbourhood(encoded.ids, position),
    }


def answer_line(
    adapter: Adapter, line: Line, vectors: dict[str, Tensor], layers: Sequence[int], tokens: int
) -> dict[str, Any]:
    """The answers of no_context, base and of the patch at every layer."""
    query, base = adapter.encode(line.query), adapter.encode(line.base)
    sites = [Site(line.vector, layer) for layer in layers]
    patched = {}
    for batch in patched_answers(adapter, [query], vectors, sites):
        for _, site, given in batch:
            patched[site.layer] = shown(adapter, query, given)
            if tokens > 1:
                vector = vectors[site.name][site.layer]
                (written,) = generate(adapter, [query], tokens, vector, site.layer)
                patched[site.layer]["text"] = adapter.tokenizer.decode(written)
    return {
        "id": line.id,
        "label": line.label,
        "no_context": shown(adapter, query, answer(adapter, query)),
        "base": shown(adapter, base, answer(adapter, base)),
        "patch": {str(layer): patched[layer] for layer in layers},
    }


def chosen_layers(adapter: Adapter, wanted: Sequence[int] | None) -> list[int]:
    """The layers to patch; all of them if none are named."""
    count = len(adapter.layers)
    for layer in wanted or []:
        if not 0 <= layer < count:
            raise UserError(f"--layers: {adapter.name} has layers 0 to {count - 1}, not {layer}.")
    return list(wanted) if wanted else list(range(count))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m taskvectors.demo", description=__doc__)
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--vector-model", type=Path, help="read the vectors in this model instead")
    parser.add_argument("--prompts", required=True, type=Path, help="JSON lines")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--template", default="generic")
    parser.add_argument("--dtype", default="float32", choices=sorted(DTYPES))
    parser.add_argument("--layers", type=int, nargs="+", help="all without it")
    parser.add_argument("--tokens", type=int, default=1, help="tokens to write per answer")
    args = parser.parse_args()
    start_logging(None)
    lines = read_lines(args.prompts, find_template(TEMPLATES, args.template))
    adapter = load_adapter(args.model, args.model.name, args.dtype)
    reader = adapter
    if args.vector_model is not None:
        reader = load_adapter(args.vector_model, args.vector_model.name, args.dtype)
    vectors = read_vectors(reader, lines)
    check_vectors(adapter, vectors, args.vector_model or args.model)
    layers = chosen_layers(adapter, args.layers)
    rows = [
        answer_line(adapter, line, vectors, layers, args.tokens)
        for line in track(lines, len(lines), f"patch {adapter.name}")
    ]
    write_tensors(args.out / "vectors.safetensors", vectors)
    write_jsonl(args.out / "answers.jsonl", rows)
    log.info("wrote %s and %s", args.out / "vectors.safetensors", args.out / "answers.jsonl")


if __name__ == "__main__":
    run_command(main)
