"""The template ``chat``: a model's own chat template, taken apart into the pieces of a template."""

from taskvectors.base.errors import UserError
from taskvectors.models.base import Adapter
from taskvectors.models.generic import GenericAdapter
from taskvectors.models.turns import (
    ASKED,
    EARLIER,
    REPLY,
    RULES,
    TODAY,
    Pieces,
    asks_for_day,
    conversation,
    last_turn,
    own_template,
)
from taskvectors.study.prompts import ChatTemplate, Template


def fitted(template: Template | ChatTemplate, adapter: Adapter) -> Template:
    """The template with the model's own question and answer where it has none itself.

    Raises `UserError` where the model has no chat template, or one that cannot be taken apart.
    """
    if isinstance(template, Template):
        return template
    question, answer = turn_pieces(adapter)
    # An embedded model's image is where words would be.
    processed = isinstance(adapter, GenericAdapter)
    image = image_pieces(adapter) if processed else None
    return Template(
        *(template.name, question, answer, template.end, template.space),
        system=system_pieces(adapter),
        image=image,
        takes_images=image is not None or not processed,
    )


def turn_pieces(adapter: Adapter) -> Pieces:
    """What the model's chat template puts before a user's words, and between them and a reply.

    The last of three turns is looked at, so that what only begins a conversation is left out.
    Spaces beside the words are left to the template's ``space``.
    """
    pieces = last_turn(adapter.tokenizer, _template(adapter), None, EARLIER, ASKED)
    if pieces is None:
        raise UserError(
            f"the chat template of {adapter.name} shows no question and reply, or does not lay out "
            "all turns alike (it may open a reply with a thought); choose another of "
            "resources/templates.yaml."
        )
    return pieces[0].rstrip(" "), pieces[1].rstrip(" ")


def image_pieces(adapter: Adapter) -> Pieces | None:
    """What the model's chat template puts before and behind an image, up to the reply, but for the
    adapter's `frame`; None where it shows none, or a second one otherwise than the first.
    """
    template = _template(adapter)
    first, second = (
        last_turn(adapter.tokenizer, template, adapter.image_text, earlier, None)
        for earlier in (EARLIER, None)
    )
    if first is None or first != second:
        return None
    before, after = adapter.frame
    return first[0].removesuffix(before), first[1].rstrip(" ").removeprefix(after)


def system_pieces(adapter: Adapter) -> tuple[str, str] | None:
    """What the model's chat template puts before and after a system turn; None where it has none.

    What begins a conversation before that turn is part of it, but for the token that every prompt
    begins with anyway.
    """
    question, _ = turn_pieces(adapter)
    turns = [("system", RULES), ("user", ASKED), REPLY]
    text = conversation(adapter.tokenizer, _template(adapter), None, turns, reply=True)
    if text is None or text.count(RULES) != 1:
        return None
    before, _, rest = text.partition(RULES)
    between = rest.partition(ASKED)[0].rstrip(" ")
    if not between.endswith(question):  # no turn of its own: it is said in the user's
        return None
    begins = adapter.tokenizer.bos_token or ""
    return before.removeprefix(begins), between.removesuffix(question)


def prompt_notes(adapter: Adapter) -> list[str]:
    """What every prompt of a model has that no template of ours says."""
    template = own_template(adapter.processor, adapter.tokenizer) or ""
    before, after = adapter.frame
    framed = f"Every image is between {before!r} and {after!r}, as in the model's chat template."
    dated = f"Where the model's chat template asks for the day, it is {TODAY:%Y-%m-%d}."
    return [*([framed] if before or after else []), *([dated] if asks_for_day(template) else [])]


def _template(adapter: Adapter) -> str:
    """The model's chat template. Raises `UserError` where it has none."""
    template = own_template(adapter.processor, adapter.tokenizer)
    if not template:
        raise UserError(
            f"the model {adapter.name} has no chat template; choose another of "
            "resources/templates.yaml."
        )
    return template
