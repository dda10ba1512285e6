"""What the API's functions are given, held to what they take."""

from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from taskvectors.api.model import Shown
from taskvectors.base.errors import UserError

Item = TypeVar("Item")
MOST_TOKENS = 1000
MOST_TIMES = 3e38  # about the largest number of float32
#: What can be gone through, too, but is one thing, whose parts are none of a list.
ONE = (str, bytes, Mapping, Image.Image, np.ndarray, Tensor)


def listed(given: Iterable[Item], what: str) -> list[Item]:
    """The items of whatever gives several. Raises `UserError` where ``given`` is but one thing."""
    if isinstance(given, ONE) or not isinstance(given, Iterable):
        raise UserError(f"{what} are a list, but this is one {type(given).__name__}; put it in [].")
    if isinstance(given, Set):
        raise UserError(f"{what} are a list, and a set has no order; give a list.")
    return list(given)


def text_of(given: Any, what: str) -> str:
    """A text. Raises `UserError` where it is none."""
    if not isinstance(given, str):
        raise UserError(f"{what} is a str, not {given!r}; write it as one.")
    return given


def pairs_of(exemplars: Iterable[tuple[Shown, str]], what: str) -> list[tuple[Shown, str]]:
    """Exemplars. Raises `UserError` where one is no pair of an input and an output, a text."""
    found = listed(exemplars, what)
    for one in found:
        if not isinstance(one, (tuple, list)) or len(one) != 2:
            raise UserError(f"of {what} each is an (input, output) pair; {one!r} is none.")
        text_of(one[1], f"an output of {what}")
    return found


def is_whole(given: Any) -> bool:
    """Whether something is a whole number, of Python or NumPy, and no truth value."""
    return isinstance(given, int | np.integer) and not isinstance(given, bool)


def strength_of(given: Any) -> float | None:
    """How many times a vector is added, or None. Raises `UserError` where it is no such number."""
    if given is None:
        return None
    number = is_whole(given) or isinstance(given, float | np.floating)
    if not number or not abs(given) <= MOST_TIMES:
        raise UserError(f"a strength is a number of no more than {MOST_TIMES:g}, not {given!r}.")
    return float(given)


def layer_of(given: Any, layers: int, whose: str) -> int:
    """The number of a layer. Raises `UserError` where there is no such layer."""
    layer = given if is_whole(given) else -1
    if not 0 <= layer < layers:
        raise UserError(f"{whose} layers 0 to {layers - 1}, not {given!r}.")
    return layer


def count_of(given: Any, what: str, most: int | None = None) -> int:
    """How many. Raises `UserError` where it is no number from 1 on, to ``most`` if there is one."""
    if not is_whole(given) or not 1 <= given <= (most or MOST_TOKENS):
        raise UserError(f"{what} is a whole number from 1 to {most or MOST_TOKENS}, not {given!r}.")
    return given
