"""Dense descriptions of entities, which stand in text prompts in place of names."""

import re
from pathlib import Path

from taskvectors.base.schemas import check, read_yaml

ENDINGS = "(s|es|y|ish|ness)?"
SMALL_WORDS = {"and", "the"}


def read_descriptions(path: Path) -> dict[str, dict[str, str]]:
    """Entity set to entity to description. Raises `UserError` where the file is not valid."""
    raw = read_yaml(path)
    check(raw, "descriptions", str(path))
    return raw


def leaks(description: str, name: str, label: str) -> list[str]:
    """Words of the entity's name or of the label that the description gives away.

    A word of the label counts with its commonest endings, a longer word of the name as the
    beginning of any word; words of one or two letters and case do not matter.
    """
    patterns = [(word, rf"{word}{ENDINGS}\b") for word in _words(label)]
    patterns += [(word, word if len(word) > 3 else rf"{word}s?\b") for word in _words(name)]
    return [
        word for word, pattern in patterns if re.search(rf"\b{pattern}", description, re.IGNORECASE)
    ]


def _words(text: str) -> list[str]:
    words = re.findall(r"\w{3,}", text)
    return [word for word in words if word.lower() not in SMALL_WORDS]
