"""JSON as its standard has it (RFC 8259), of which Python's own reader takes more than there is."""

import json
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

MOST_DIGITS = 308  # as many as the largest float has


def number_of(text: str) -> int | float:
    """A number as JSON writes it. Raises ValueError for NaN and Infinity, for one too large for a
    float, and for one of more than 308 characters."""
    if len(text) > MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} characters is too long")
    if text.removeprefix("-").isdigit():
        return int(text)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no number in JSON")
    return value


def parse_json(text: str, number: Callable[[str], Any] = number_of) -> Any:
    """One value in JSON; ``number`` says what a number's text becomes.

    Raises ValueError that says in a few words what is wrong: no JSON, a number that is none, a key
    twice, half of a character, too deep.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_each_key_once,
            parse_constant=number,
            parse_float=number,
            parse_int=number,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(error.msg) from None
    if "\\u" in text and not encodable(json.dumps(value, ensure_ascii=False)):
        raise ValueError("half of a character, i.e. a lone surrogate")
    return value


def encodable(text: str) -> bool:
    """Whether a text can be written as UTF-8: it has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    for key, count in counts.items():
        if count > 1:
            raise ValueError(f"the key {key!r} stands twice")
    return dict(pairs)
