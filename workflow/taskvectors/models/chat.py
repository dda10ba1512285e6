"""The template ``chat``: a model's own chat template, taken apart into the pieces of a template.

transformers renders it in a sandbox; no code of a checkpoint runs.
"""

from collections.abc import Sequence

from jinja2 import TemplateError

from taskvectors.base.errors import UserError
from taskvectors.models.base import Adapter
from taskvectors.study.prompts import ChatTemplate, Template

# What stands in for an earlier input, its output and the input asked about.
EARLIER, OUTPUT, ASKED = "first words", "second words", "third words"
# What stands in for a system turn.
RULES = "fourth words"


def fitted(template: Template | ChatTemplate, adapter: Adapter) -> Template:
    """The template with the model's own question and answer where it has none itself.

    Raises `UserError` where the model has no chat template, or one that cannot be taken apart.
    """
    if isinstance(template, Template):
        return template
    question, answer = turn_pieces(adapter)
    system = system_pieces(adapter)
    return Template(template.name, question, answer, template.end, template.space, system)


def turn_pieces(adapter: Adapter) -> tuple[str, str]:
    """What the model's chat template puts before a user's words, and between them and a reply.

    The last of three turns is looked at, so that what only begins a conversation is left out.
    Spaces beside the words are left to the template's ``space``.
    """
    own = getattr(adapter.processor, "chat_template", None)
    if not own and not adapter.tokenizer.chat_template:
        raise UserError(
            f"the model {adapter.name} has no chat template; choose another of "
            "resources/templates.yaml."
        )
    text = _rendered(adapter, own)
    between, answer = text.partition(OUTPUT)[2].split(ASKED)
    closed = _rendered(adapter, own, reply=True).partition(ASKED)[2].partition(OUTPUT)[2]
    if not between.startswith(closed) or not answer.strip():
        raise UserError(
            f"the chat template of {adapter.name} does not lay out all turns alike; "
            "choose another of resources/templates.yaml."
        )
    return between.removeprefix(closed).rstrip(" "), answer.rstrip(" ")


def system_pieces(adapter: Adapter) -> tuple[str, str] | None:
    """What the model's chat template puts before and after a system turn; None where it has none.

    What begins a conversation before that turn is part of it, but for the token that every prompt
    begins with anyway.
    """
    own = getattr(adapter.processor, "chat_template", None)
    question, _ = turn_pieces(adapter)
    messages = [("system", RULES), ("user", ASKED), ("assistant", OUTPUT)]
    text = _rendered_messages(adapter, own, messages, reply=True)
    if text is None or text.count(RULES) != 1 or ASKED not in text:
        return None
    before, _, rest = text.partition(RULES)
    between = rest.partition(ASKED)[0].rstrip(" ")
    if not between.endswith(question):  # no turn of its own: it is said in the user's
        return None
    begins = adapter.tokenizer.bos_token or ""
    return before.removeprefix(begins), between.removesuffix(question)


def _rendered(adapter: Adapter, own: str | None, reply: bool = False) -> str:
    """A question, its reply and a question, open for a reply or (``reply``) with one.

    Templates of language models take words as text, those of VLMs as a list of parts. The
    tokenizer renders the processor's ``own``, too, since some processors ask for their video part.
    """
    words = [("user", EARLIER), ("assistant", OUTPUT), ("user", ASKED)]
    words += [("assistant", OUTPUT)] if reply else []
    text = _rendered_messages(adapter, own, words, reply)
    if text and [text.count(word) for word in (EARLIER, ASKED)] == [1, 1] and OUTPUT in text:
        return text
    raise UserError(
        f"the chat template of {adapter.name} shows no question and reply; "
        "choose another of resources/templates.yaml."
    )


def _rendered_messages(
    adapter: Adapter, own: str | None, words: Sequence[tuple[str, str]], reply: bool
) -> str | None:
    """A conversation, (role, words) by turn, that shows its last user's words; None where the
    template takes it in neither form."""
    asked = next(text for role, text in reversed(words) if role == "user")
    for part in (str, lambda word: [{"type": "text", "text": word}]):
        messages = [{"role": role, "content": part(word)} for role, word in words]
        try:
            text = adapter.tokenizer.apply_chat_template(
                messages, chat_template=own, tokenize=False, add_generation_prompt=not reply
            )
        except (TemplateError, TypeError):
            continue
        if text.count(asked) == 1:
            return text
    return None
