"""The prompts file of the demo: each line one JSON object, as `taskvectors.demo` says."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_jsonl
from taskvectors.base.schemas import check
from taskvectors.engine.forward import Answer
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.prompts import (
    EXEMPLAR,
    QUERY,
    ImageInput,
    Prompt,
    Template,
    Text,
    instruction,
)


@dataclass(frozen=True)
class PromptLine:
    """One line of the prompts file, as prompts.

    ``specified`` is what the vector is read from, at ``read_mark``; ``query`` is asked alone
    and patched; ``base`` is the query in the context of the specification. ``exemplars`` are inputs
    and outputs; an instruction has none.
    """

    id: str
    vector: str
    label: str
    specified: Prompt
    read_mark: str
    query: Prompt
    base: Prompt
    exemplars: tuple[tuple[Text | ImageInput, str], ...] = ()


def parse_line(row: dict[str, Any], template: Template) -> PromptLine:
    """A checked row as prompts."""
    query = template.query(_asked(row["query"]))
    if row["specification"] == "instruction":
        specified, mark = instruction(row["instruction"]), QUERY.name
        base: Prompt = (Text(row["instruction"] + template.end), *query)
        return PromptLine(row["id"], row["vector"], row["label"], specified, mark, query, base)
    pairs = tuple((_asked(exemplar), exemplar["output"]) for exemplar in row["exemplars"])
    specified, mark = template.exemplars(pairs), EXEMPLAR.name
    base = (*specified, *query)
    return PromptLine(row["id"], row["vector"], row["label"], specified, mark, query, base, pairs)


def _asked(shown: dict[str, str]) -> Text | ImageInput:
    return Text(shown["input"]) if "input" in shown else ImageInput(shown["image"])


def specifying(adapter: Adapter, lines: Sequence[PromptLine]) -> tuple[list[Encoded], list[int]]:
    """What each line's vector is read from, encoded, and the index of the token where.

    A model that takes images reads exemplars before their query, since some (Mantis) lay them
    out in other tokens before an image.
    """
    followed = {EXEMPLAR.name} if adapter.image_text is not None else set()
    prompts = [
        adapter.encode(line.base if line.read_mark in followed else line.specified)
        for line in lines
    ]
    return prompts, [
        prompt.marks[line.read_mark] for prompt, line in zip(prompts, lines, strict=True)
    ]


def read_lines(path: Path, template: Template) -> list[PromptLine]:
    """Read and check the prompts. Raises `UserError` naming file and line."""
    rows = read_jsonl(path)
    for number, row in enumerate(rows, start=1):
        check(row, "demo", f"{path}, line {number}")
    if not rows:
        raise UserError(f"{path} has no prompts; write one JSON object a line.")
    return [parse_line(row, template) for row in rows]


def shown(adapter: Adapter, encoded: Encoded, given: Answer) -> dict[str, Any]:
    """An answer with the place where it was given, as the results file has it."""
    position = encoded.marks[QUERY.name]
    return {
        "token_id": given.token_id,
        "token": adapter.tokenizer.decode([given.token_id]),
        "logit_difference": given.logit_difference,
        "position": position,
        "neighbourhood": adapter.neighbourhood(encoded.ids, position),
        "forced_boundary": encoded.forced_boundary,
    }
