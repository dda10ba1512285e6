"""Turns of a conversation as a checkpoint's own chat template writes them."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import dropwhile, product, takewhile
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.models.rendered import rendered

# What stands in for an earlier input, its output and the input asked about.
EARLIER, OUTPUT, ASKED = "first words", "second words", "third words"
# What stands in for a system turn.
RULES = "fourth words"
# The day it is for a template that asks; Llama 3.2's own where it cannot ask.
TODAY = datetime(2024, 7, 26, 12, tzinfo=UTC)

# A role, and what is said: words, or None for an image.
Turn = tuple[str, str | None]
# What a template writes before and after something.
Pieces = tuple[str, str]

REPLY: Turn = ("assistant", OUTPUT)
# All that a template is asked to write, open for a reply or (True) ending with one.
CONVERSATIONS: list[tuple[tuple[Turn, ...], bool]] = [
    *(((("user", shown),), False) for shown in (ASKED, None)),
    *(
        ((("user", first), REPLY, ("user", last), *reply), bool(reply))
        for first, last, reply in product((EARLIER, None), (ASKED, None), ((), (REPLY,)))
    ),
    ((("system", RULES), ("user", ASKED), REPLY), True),
]


def own_template(processor: Any, tokenizer: Any) -> str | None:
    """The chat template of a checkpoint: its processor's, else its tokenizer's; None without one.

    Where there are several by name, the default. Raises `UserError` where it is no text.
    """
    own = getattr(processor, "chat_template", None) or tokenizer.chat_template
    found = own.get("default") if isinstance(own, dict) else own
    if found is not None and not isinstance(found, str):
        raise UserError(
            f"the chat template of {tokenizer.name_or_path} is {found!r:.40}, which is no text; "
            "put the one of the model's authors in its place."
        )
    return found


def asks_for_day(template: str) -> bool:
    """Whether a chat template asks what day it is; transformers gives it no other clock."""
    return "strftime_now" in template


def on_that_day(template: str) -> str:
    """A chat template for which it is always `TODAY`."""
    if not asks_for_day(template):
        return template
    codes = [*"aAbBcdDeFHIjkmMpSTuUVwWxXyYzZ", "-d", "-m", "-H", "-I", "-j"]
    said = "".join(f" | replace('%{code}', '{TODAY:%{code}}')" for code in codes)
    # A plus keeps a line break that the template begins with.
    return f"{{% macro strftime_now(said) %}}{{{{ said{said} }}}}{{% endmacro +%}}{template}"


@lru_cache(maxsize=8)
def written(tokenizer: Any, template: str) -> dict[tuple[tuple[Turn, ...], bool], list[str | None]]:
    """What a chat template makes of all `CONVERSATIONS`, with words as text and as parts.

    The tokenizer renders a processor's template, too, since some processors ask for their video
    part. Raises `UserError` as `rendered`.
    """
    kinds = [
        (
            [
                {"role": role, "content": [{"type": "image"}] if words is None else part(words)}
                for role, words in turns
            ],
            reply,
        )
        for turns, reply in CONVERSATIONS
        for part in (str, lambda words: [{"type": "text", "text": words}])
    ]
    texts = rendered(tokenizer, on_that_day(template), kinds)
    pairs = zip(texts[::2], texts[1::2], strict=True)
    return dict(zip(CONVERSATIONS, map(list, pairs), strict=True))


def conversation(
    tokenizer: Any, template: str, image_text: str | None, turns: Sequence[Turn], reply: bool
) -> str | None:
    """One of `CONVERSATIONS`; None where the template does not show all of it, and a user's words
    and images once.

    Templates of language models take words as text, those of VLMs as a list of parts.
    """
    said = [(role, words) for role, words in turns if words is not None]
    images = sum(words is None for _, words in turns)
    for text in written(tokenizer, template)[tuple(turns), reply]:
        if text is None:
            continue
        shown = text.count(image_text) if image_text and images else 0
        if shown == images and all(
            text.count(words) == 1 if role == "user" else words in text for role, words in said
        ):
            return text
    return None


def around(
    tokenizer: Any,
    template: str,
    image_text: str | None,
    turns: Sequence[Turn],
    reply: bool = False,
) -> Pieces | None:
    """What a template writes before and behind what a user shows last in `conversation`; before it
    from the reply to an earlier turn on, where there is one. None where it does not show all.
    """
    text = conversation(tokenizer, template, image_text, turns, reply)
    last = [words for role, words in turns if role == "user"][-1]
    shown = image_text if last is None else last
    if text is None or shown is None:
        return None
    since = text.partition(OUTPUT)[2] if len(turns) > 2 else text
    before, found, behind = since.partition(shown)
    return (before, behind) if found else None


def last_turn(
    tokenizer: Any, template: str, image_text: str | None, first: str | None, last: str | None
) -> Pieces | None:
    """What a template writes before and behind what a user shows in a later turn, from the end of a
    reply to the next one; ``first`` is shown before, as in `Turn`.

    None where it does not show all, where the end of a reply is not told from the turn, or where
    the next reply is opened otherwise than one is shown, as with a thought.
    """
    turns: list[Turn] = [("user", first), REPLY, ("user", last)]
    asked = around(tokenizer, template, image_text, turns)
    closed = around(tokenizer, template, image_text, [*turns, REPLY], reply=True)
    if asked is None or closed is None:
        return None
    between, answer = asked
    opening, _, closing = closed[1].partition(OUTPUT)
    if not between.startswith(closing):  # some end a whole conversation with a token more
        closing = closing.removesuffix(tokenizer.eos_token or "")
    if not between.startswith(closing) or not answer.strip() or answer.rstrip() != opening.rstrip():
        return None
    return between.removeprefix(closing), answer


def frame_of(tokenizer: Any, template: str, image_text: str) -> Pieces | None:
    """What a chat template writes around an image and never around words, from the first to the
    last token of the tokenizer's additional ones: a family was trained with these around every
    image. None where it shows no image.
    """
    for earlier in ([("user", EARLIER), REPLY], []):
        words, image = (
            around(tokenizer, template, image_text, [*earlier, ("user", last)])
            for last in (ASKED, None)
        )
        if words is not None and image is not None:
            return _only_images(tokenizer, image, words)
    return None


def _only_images(tokenizer: Any, image: Pieces, words: Pieces) -> Pieces:
    """What of the pieces around an image is a token, or between tokens, that words have not."""
    added = {token for token in tokenizer.get_added_vocab() if not token.isspace()}
    tokens = re.compile(f"({'|'.join(map(re.escape, sorted(added, key=len, reverse=True)))})")

    def own(of_image: Sequence[str], of_words: Sequence[str]) -> list[str]:
        """Pieces that only an image has, from their first token on."""
        same = takewhile(lambda two: two[0] == two[1], zip(of_image, of_words, strict=False))
        rest = of_image[len(list(same)) :]
        return list(dropwhile(lambda piece: piece not in added, rest))

    def pieces(text: str) -> list[str]:
        return [piece for piece in tokens.split(text) if piece]

    before = own(pieces(image[0]), pieces(words[0]))
    behind = own(pieces(image[1])[::-1], pieces(words[1])[::-1])
    return "".join(before), "".join(behind[::-1])
