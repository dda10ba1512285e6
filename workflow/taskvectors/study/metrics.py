"""When an answer counts as right.

``paper`` counts a first token that, stripped, is a non-empty prefix of the label or has the
label as its prefix (Hendel et al., 2023; Todd et al., 2024); case matters. It counts "B" for
"Bangkok", so ``strict`` stands beside it: the label's own first token in that position. Figure 8
alone is drawn by the paper's metric without regard to case, since casing is hard to ask for by
an instruction (section 3.2).

What is judged is the first token wherever the label's shows text, as in the paper's code. Where it
shows none (a space by itself, one byte of a letter), the first tokens up to the first that shows
text are, of the label and of the answer.
"""

from unicodedata import category

import numpy as np
import pandas as pd

METRICS = ("paper", "strict")
BROKEN = "\ufffd"  # what decodes in place of a letter of which bytes are missing
UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")  # controls, marks of format, spaces
CASELESS = "paper, case-insensitive"


def shows_text(text: str) -> bool:
    """Whether there is a whole character in decoded tokens that can be seen; one that is newer than
    Python's tables, as an emoji may be, or of private use can."""
    return any(char != BROKEN and category(char) not in UNSEEN for char in text)


def matches(token: str, label: str) -> bool:
    """The paper's metric; part of a letter at the end of the token does not count."""
    token, label = token.rstrip(BROKEN).strip(), label.strip()
    return bool(token) and bool(label) and (label.startswith(token) or token.startswith(label))


def judged(predictions: pd.DataFrame) -> pd.DataFrame:
    """The predictions with a column per metric, True where the answer counts as right."""
    pairs = zip(predictions["token"], predictions["label"], strict=True)
    return predictions.assign(
        paper=[matches(token, label) for token, label in pairs],
        strict=predictions["token_ids"] == predictions["label_token_ids"],
    )


def judged_caseless(predictions: pd.DataFrame) -> pd.DataFrame:
    """The same, with a column for the paper's metric without regard to case."""
    pairs = zip(predictions["token"], predictions["label"], strict=True)
    caseless = [matches(token.lower(), label.lower()) for token, label in pairs]
    return judged(predictions).assign(**{CASELESS: caseless})


def right_for_all(answers: pd.DataFrame, items: pd.DataFrame, metric: str) -> np.ndarray:
    """(answers, items): whether each answer would be right for each of the items.

    ``answers`` have ``token`` and ``token_ids``, ``items`` have ``label`` and ``label_token_ids``.
    """
    if metric == "strict":
        return np.equal.outer(answers["token_ids"].to_numpy(), items["label_token_ids"].to_numpy())
    fold = str.lower if metric == CASELESS else str
    labels = [fold(label) for label in items["label"]]
    tokens = [fold(token) for token in answers["token"]]
    known = {token: [matches(token, label) for label in labels] for token in dict.fromkeys(tokens)}
    return np.array([known[token] for token in tokens], dtype=bool).reshape(-1, len(labels))
