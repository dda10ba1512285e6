"""Queries as a model sees them: encoded, with the tokens of the label that are judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.engine.forward import Answer
from taskvectors.engine.trees import Row, cut
from taskvectors.jobs.arguments import Context
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import encode_query
from taskvectors.study.datasets import Item
from taskvectors.study.predictions import MODALITIES, Prediction
from taskvectors.study.prompts import EXEMPLARS_END, QUERY, ImageInput, Template, Text


def asked(item: Item, modality: str) -> Text | ImageInput:
    """The item as a query's input in one modality."""
    return Text(item.said) if modality == "text" else ImageInput(item.image)


def said(adapter: Adapter, ids: Sequence[int], of: str = "") -> dict[str, Any]:
    """Tokens that are judged, as the columns of a `Prediction`, whose names begin with ``of``."""
    return {
        f"{of}token_id": ids[0],
        f"{of}token_ids": " ".join(map(str, ids)),
        f"{of}token": adapter.tokenizer.decode(list(ids)),
    }


def same_exemplars(prompts: Sequence[Encoded]) -> bool:
    """Whether the exemplars of all prompts are the same tokens, so that a row can hold them."""
    ends = [prompt.marks[EXEMPLARS_END.name] + 1 for prompt in prompts]
    return len({tuple(one.ids[:end]) for one, end in zip(prompts, ends, strict=True)}) == 1


def asked_together(prompts: Sequence[Encoded]) -> tuple[Row, tuple[int, ...]]:
    """Prompts with the same exemplars as one row, whose branches are their queries; and where
    each prompt ends in it. Raises `UserError` where their exemplars are not the same tokens.
    """
    if not same_exemplars(prompts):
        raise UserError(
            "the tokenizer merges the end of the exemplars with the query; "
            "choose a template whose `end` is a token boundary."
        )
    at = prompts[0].marks[EXEMPLARS_END.name] + 1
    cuts = [cut(prompt, at) for prompt in prompts]
    row = Row(cuts[0][0], tuple(branch for _, branch in cuts))
    spans = zip(row.starts[1:], row.branches, strict=True)
    return row, tuple(start + len(branch.ids) - 1 for start, branch in spans)


@dataclass(frozen=True)
class Query:
    """One item asked in one modality without any context, encoded."""

    item: Item
    modality: str
    encoded: Encoded
    label_ids: tuple[int, ...]

    @property
    def position(self) -> int:
        """Index of the query's delimiter in its own prompt."""
        return self.encoded.marks[QUERY.name]

    def judged(self, answer: Answer) -> tuple[int, ...]:
        """The tokens of an answer that are judged: of one that went on for another task's sake, the
        first."""
        return answer.token_ids if len(self.label_ids) > 1 else answer.token_ids[:1]


def encode_queries(
    adapter: Adapter, template: Template, items: list[Item], modalities: tuple[str, ...]
) -> list[Query]:
    """Every item in every modality, items first."""
    queries = []
    for item in items:
        for modality in modalities:
            prompt = template.query(asked(item, modality))
            encoded = encode_query(adapter, prompt, template, item.label)
            queries.append(Query(item, modality, *encoded))
    return queries


def seen_queries(adapter: Adapter, template: Template, items: list[Item]) -> list[Query]:
    """Every item in every modality that the model takes, the features of its images computed."""
    queries = encode_queries(adapter, template, items, modalities_of(adapter))
    adapter.see([query.item.image for query in queries if query.modality == "image"])
    return queries


def modalities_of(adapter: Adapter) -> tuple[str, ...]:
    """The modalities that a model's queries can have."""
    return MODALITIES if adapter.image_text is not None else ("text",)


def prediction(
    adapter: Adapter,
    context: Context,
    query: Query,
    answer: Answer,
    method: str,
    *,
    specification: str | None = None,
    seed: int | None = None,
    layer: int | None = None,
    within: Encoded | None = None,
) -> Prediction:
    """The record of one answer; ``within`` is the whole prompt where it was more than the query."""
    encoded = within or query.encoded
    position = encoded.marks[QUERY.name]
    return Prediction(
        model=context.model,
        template=context.template.name,
        task=context.task,
        split=query.item.split,
        method=method,
        specification=specification,
        query_modality=query.modality,
        seed=seed,
        layer=layer,
        entity=query.item.entity,
        label=query.item.label,
        **said(adapter, query.label_ids, "label_"),
        **said(adapter, query.judged(answer)),
        logit_difference=answer.logit_difference,
        position=position,
        neighbourhood=adapter.neighbourhood(encoded.ids, position),
        forced_boundary=encoded.forced_boundary or query.encoded.forced_boundary,
    )
