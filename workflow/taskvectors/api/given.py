"""What the API's functions are given, held to what they take."""

from collections.abc import Iterable, Mapping
from operator import index
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from torch import Tensor

from taskvectors.api.model import Shown
from taskvectors.base.errors import UserError

Item = TypeVar("Item")
#: What can be gone through, too, but is one thing, whose parts are none of a list.
ONE = (str, bytes, Mapping, Image.Image, np.ndarray, Tensor)


def listed(given: Iterable[Item], what: str) -> list[Item]:
    """The items of whatever gives several. Raises `UserError` where ``given`` is but one thing."""
    if isinstance(given, ONE) or not isinstance(given, Iterable):
        raise UserError(f"{what} are a list, but this is one {type(given).__name__}; put it in [].")
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


def layer_of(given: Any, layers: int, whose: str) -> int:
    """The number of a layer. Raises `UserError` where there is no such layer."""
    try:
        layer = index(given)
    except TypeError:
        layer = -1
    if not 0 <= layer < layers:
        raise UserError(f"{whose} layers 0 to {layers - 1}, not {given!r}.")
    return layer


def count_of(given: Any, what: str, most: int | None = None) -> int:
    """How many. Raises `UserError` where it is no number from 1 on, to ``most`` if there is one."""
    least = f"from 1 to {most}" if most else "of 1 or more"
    if not isinstance(given, int) or not 1 <= given <= (most or given):
        raise UserError(f"{what} is a whole number {least}, not {given!r}.")
    return given
