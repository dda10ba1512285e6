"""The lines of the demo's prompts file as prompts, and answers as its results file has them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from taskvectors.engine.forward import Answer
from taskvectors.jobs.queries import said
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import encode_query
from taskvectors.study.constant import best_constant
from taskvectors.study.metrics import METRICS, matches
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


@dataclass(frozen=True)
class AskedLine:
    """A line's query, or its base, encoded, with the tokens of its label that are judged."""

    line: PromptLine
    encoded: Encoded
    label_ids: tuple[int, ...]


def ask(adapter: Adapter, template: Template, line: PromptLine, prompt: Prompt) -> AskedLine:
    """Encode a line's ``prompt``. Raises `UserError` where the delimiter merges with the label."""
    return AskedLine(line, *encode_query(adapter, prompt, template, line.label))


def constants(adapter: Adapter, queries: Sequence[AskedLine]) -> dict[str, float]:
    """By metric, the share of lines that the best constant answer is right for."""
    rows = [
        {"label": asked.line.label, **said(adapter, asked.label_ids, "label_")} for asked in queries
    ]
    return {metric: best_constant(pd.DataFrame(rows), metric) for metric in METRICS}


def shown(adapter: Adapter, asked: AskedLine, given: Answer) -> dict[str, Any]:
    """An answer with the place where it was given, and whether it is right, as the results file
    has it."""
    encoded = asked.encoded
    position = encoded.marks[QUERY.name]
    found = said(adapter, given.token_ids)
    return {
        **found,
        "right": {
            "paper": matches(found["token"], asked.line.label),
            "strict": given.token_ids == asked.label_ids,
        },
        "logit_difference": given.logit_difference,
        "position": position,
        "neighbourhood": adapter.neighbourhood(encoded.ids, position),
        "forced_boundary": encoded.forced_boundary,
    }
