"""Whether an answer does what was asked, by rule; what no rule can tell is left to a model."""

import re
from functools import cache

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from taskvectors.study.overriding import Criterion


def meets(answer: str, criterion: Criterion) -> bool | None:
    """Whether an answer meets a criterion; None where only a model can tell.

    An answer without a letter meets none.
    """
    if "question" in criterion:
        return None
    letters = [char for char in answer if char.isalpha()]
    if not letters:
        return False
    if "label" in criterion:
        return any(_has(answer, label) for label in criterion["label"])
    if "case" in criterion:
        in_case = {"lower": str.islower, "upper": str.isupper}[criterion["case"]]
        return all(in_case(char) for char in letters)
    if "language" in criterion:
        wanted, other = criterion["language"], criterion["rather_than"]
        return language_of(answer, frozenset({wanted, other})) == wanted
    count, words = len(answer.split()), criterion["words"]
    return words.get("least", 0) <= count <= words.get("most", count)


def _has(answer: str, label: str) -> bool:
    """Whether the label is in the answer as whole words, in any case."""
    return re.search(rf"(?<!\w){re.escape(label)}(?!\w)", answer, re.IGNORECASE) is not None


def language_of(text: str, languages: frozenset[str]) -> str:
    """The likeliest of some languages (ISO 639-1), by py3langid's model of byte sequences."""
    return str(_identifier(languages).classify(text)[0])


@cache
def _identifier(languages: frozenset[str]) -> LanguageIdentifier:
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE)
    identifier.set_languages(sorted(languages))
    return identifier
