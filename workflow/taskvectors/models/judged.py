"""What is judged of a label in a model's tokens, and how much that tells of a task's labels."""

from collections.abc import Sequence
from dataclasses import replace

from taskvectors.base.errors import UserError
from taskvectors.models.base import Adapter, Encoded
from taskvectors.study.first_tokens import FirstTokens, count_first_tokens
from taskvectors.study.metrics import shows_text
from taskvectors.study.prompts import Prompt, Template, Text

JUDGED_TOKENS = 8  # at most: a space, and two characters that are three and four bytes


def goes_on(adapter: Adapter, ids: Sequence[int]) -> bool:
    """Whether more tokens than these, an answer's or a label's first, are judged."""
    stops = {*adapter.end_ids, adapter.placeholder_id}
    ended = ids[-1] in stops or len(ids) == JUDGED_TOKENS
    return not ended and not shows_text(adapter.tokenizer.decode(list(ids)))


def judged_tokens(adapter: Adapter, ids: Sequence[int]) -> tuple[int, ...]:
    """The first of a label's or an answer's tokens, those up to the first that shows text."""
    more = (count for count in range(1, len(ids)) if not goes_on(adapter, ids[:count]))
    return tuple(ids[: next(more, len(ids))])


def encode_query(
    adapter: Adapter, prompt: Prompt, template: Template, label: str
) -> tuple[Encoded, tuple[int, ...]]:
    """The prompt encoded, and the tokens of ``label`` as its answer that are judged: the first, or
    where that shows no text (a space, one byte of a letter) those up to the first that does.

    Its ``forced_boundary`` counts the one before the label, and an answer to it goes on ``to_text``
    where the label does. Raises `UserError` where the prompt's tokens change once the label
    follows, i.e. where the tokenizer merges the delimiter with the answer, or where the label has
    no token of its own, or no text.
    """
    if not label.strip():
        raise UserError(f"the label {label!r} has no text that could be judged; give another.")
    alone = adapter.encode(prompt)
    answered = adapter.encode((*prompt, template.value(label)))
    end = len(alone.ids)
    if answered.ids[:end] != alone.ids or len(answered.ids) == end:
        raise UserError(
            f"the tokenizer of {adapter.name} merges the delimiter with the label {label!r} in "
            f"the template {template.name!r}; choose another template."
        )
    judged = judged_tokens(adapter, answered.ids[end:])
    forced = answered.forced_boundary
    return replace(alone, forced_boundary=forced, to_text=len(judged) > 1), judged


def first_tokens(adapter: Adapter, template: Template, labels: Sequence[str]) -> FirstTokens:
    """How the labels of a task's items begin. Raises `UserError` as `encode_query` does."""
    query = template.query(Text("x"))  # what is asked changes nothing after its delimiter
    known = {one: encode_query(adapter, query, template, one)[1] for one in set(labels)}
    return count_first_tokens(labels, [known[label] for label in labels])
