"""Queries as a model sees them: encoded, with the tokens of the label that are judged."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskvectors.base.errors import UserError
from taskvectors.engine.forward import Answer
from taskvectors.engine.patching import goes_on
from taskvectors.engine.trees import Row, cut
from taskvectors.jobs.arguments import Context
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.datasets import Item
from taskvectors.study.predictions import MODALITIES, Prediction
from taskvectors.study.prompts import EXEMPLARS_END, QUERY, ImageInput, Prompt, Template, Text


def asked(item: Item, modality: str) -> Text | ImageInput:
    """The item as a query's input in one modality."""
    return Text(item.said) if modality == "text" else ImageInput(item.image)


def encode_query(
    adapter: Adapter, prompt: Prompt, template: Template, label: str
) -> tuple[Encoded, tuple[int, ...]]:
    """The prompt encoded, and the tokens of ``label`` as its answer that are judged: the first, or
    where that shows no text (a space, one byte of a letter) those up to the first that does.

    Its ``forced_boundary`` counts the one before the label, and an answer to it goes on ``to_text``
    where the label does. Raises `UserError` where the prompt's
    tokens change once the label follows, i.e. where the tokenizer merges the delimiter with the
    answer, or where the label has no token of its own.
    """
    alone = adapter.encode(prompt)
    answered = adapter.encode((*prompt, template.value(label)))
    end = len(alone.ids)
    if answered.ids[:end] != alone.ids or len(answered.ids) == end:
        raise UserError(
            f"the tokenizer of {adapter.name} merges the delimiter with the label {label!r} in "
            f"the template {template.name!r}; choose another template."
        )
    judged = judged_tokens(adapter, answered.ids[end:])
    encoded = replace(alone, forced_boundary=answered.forced_boundary, to_text=len(judged) > 1)
    return encoded, judged


def judged_tokens(adapter: Adapter, ids: Sequence[int]) -> tuple[int, ...]:
    """The first of a label's or an answer's tokens, those up to the first that shows text."""
    more = (count for count in range(1, len(ids)) if not goes_on(adapter, ids[:count]))
    return tuple(ids[: next(more, len(ids))])


def as_text(ids: Sequence[int]) -> str:
    """Token ids as `Prediction` has them."""
    return " ".join(map(str, ids))


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
    label_ids, ids = query.label_ids, query.judged(answer)
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
        label_token_id=label_ids[0],
        label_token_ids=as_text(label_ids),
        label_token=adapter.tokenizer.decode(list(label_ids)),
        token_id=answer.token_id,
        token_ids=as_text(ids),
        token=adapter.tokenizer.decode(list(ids)),
        logit_difference=answer.logit_difference,
        position=position,
        neighbourhood=adapter.neighbourhood(encoded.ids, position),
        forced_boundary=encoded.forced_boundary or query.encoded.forced_boundary,
    )
