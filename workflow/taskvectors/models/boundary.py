"""Where a mark stands among a prompt's tokens, and boundaries that are made where there is none.

Many byte-level tokenizers (Qwen's, Llama 3's) let a punctuation mark go with the letters after
it: ``A:Tirana`` becomes ``A``, ``:T``, ``irana``, and the delimiter is no token. There a prompt
is cut at the mark and its pieces are tokenised apart, provided that this changes nothing else.
It would with SentencePiece, which puts a space before every piece.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

# A token's id, and the characters (start, end) of the text that it stands for; a token that the
# tokenizer adds by itself (BOS) stands for none: start equals end.
Token = tuple[int, int, int]

# Pieces at whose borders tokenizers merge little, and a word that is cut in two. White space stands
# first in its piece, since many tokenizers split it by what follows.
PIECES = ("Q:", " Japan", "\nA:", " Tokyo", "\n\nQ:", " 42", "\nA:", " naïve", "\n\nQ:", " 東京")
WORD = ("Lon", "don")


def tokens_of(tokenizer: Any, text: str, special: bool = True) -> list[Token]:
    """The tokens of a text, with those that the tokenizer adds by itself where ``special``."""
    found = tokenizer(text, add_special_tokens=special, return_offsets_mapping=True)
    return [
        (token, start, end)
        for token, (start, end) in zip(found["input_ids"], found["offset_mapping"], strict=True)
    ]


def tokens_apart(tokenizer: Any, text: str, cuts: Iterable[int]) -> list[Token]:
    """The tokens of a text whose pieces between ``cuts`` (characters) are tokenised apart."""
    first, *others = sorted(cuts)
    found = tokens_of(tokenizer, text[:first])
    for start, end in zip([first, *others], [*others, len(text)], strict=True):
        piece = tokens_of(tokenizer, text[start:end], special=False)
        found += [(token, start + a, start + b) for token, a, b in piece]
    return found


def token_before(tokens: Sequence[Token], end: int) -> int | None:
    """Index of the token that ends at the character ``end``; None where that is inside a token.

    A token of bytes may hold the end of one character and the beginning of the next, so the last
    token that begins before ``end`` is asked, not any that ends there.
    """
    for index in reversed(range(len(tokens))):
        _, start, stop = tokens[index]
        if start < min(stop, end):
            return index if stop == end else None
    return None


def tokens_before(tokens: Sequence[Token], ends: Mapping[str, int]) -> dict[str, int]:
    """`token_before` of each mark, by its name; a mark inside a token is left out."""
    found = {name: token_before(tokens, end) for name, end in ends.items()}
    return {name: index for name, index in found.items() if index is not None}


def last_within(tokens: Sequence[Token], token: int | None, span: tuple[int, int]) -> int:
    """Index of the last ``token`` (an id) within the characters of ``span``. Raises IndexError
    where there is none."""
    first, last = span
    places = [
        index
        for index, (one, start, end) in enumerate(tokens)
        if one == token and first <= start and end <= last
    ]
    return places[-1]


def cuts_change_nothing(tokenizer: Any) -> bool:
    """Whether pieces of a text, tokenised apart, are the tokens of the whole.

    Tried at borders that the tokenizer keeps by itself, one by one and all at once; and a word
    that is cut must be read back as it was.
    """
    text = "".join(PIECES)
    whole = tokens_of(tokenizer, text)
    borders = [len("".join(PIECES[:count])) for count in range(1, len(PIECES))]
    kept = [border for border in borders if token_before(whole, border) is not None]
    if not kept or any(
        tokens_apart(tokenizer, text, cuts) != whole for cuts in _each_and_all(kept)
    ):
        return False
    halves = tokens_apart(tokenizer, "".join(WORD), [len(WORD[0])])
    return tokenizer.decode([one for one, *_ in halves], skip_special_tokens=True) == "".join(WORD)


def _each_and_all(borders: Sequence[int]) -> list[list[int]]:
    return [*([border] for border in borders), list(borders)]
