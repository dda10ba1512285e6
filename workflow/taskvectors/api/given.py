"""What the functions of the API are given, checked before a model runs."""

import operator
import reprlib
import sys
from collections.abc import Mapping, Set
from numbers import Real
from typing import Any

from taskvectors.base.errors import UserError

MOST = sys.float_info.max


def quoted(value: Any) -> str:
    """A value as a message has it, in few characters and a line."""
    return " ".join(reprlib.repr(value).split())


def several(values: Any, what: str) -> list[Any]:
    """A list's values. Raises `UserError` for a text, which is a sequence of letters, and for what
    has no order."""
    try:
        if not isinstance(values, str | bytes | Mapping | Set):
            return list(values)
    except TypeError:
        pass
    raise UserError(f"{what} are {quoted(values)}; give a list of them.")


def text(value: Any, what: str) -> str:
    """The text itself. Raises `UserError` where it is none."""
    if not isinstance(value, str):
        raise UserError(f"{what} is {quoted(value)}; give a text.")
    return value


def is_whole(value: Any, least: int, most: int) -> bool:
    """Whether a value is a whole number, of Python or NumPy, between two, with these."""
    try:
        return not isinstance(value, bool) and least <= operator.index(value) <= most
    except TypeError:
        return False


def check_strength(value: Any) -> None:
    """Raise `UserError` where a strength is no finite number; None is none."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if value is not None and not (number and -MOST <= value <= MOST):
        raise UserError(f"the strength is {quoted(value)}; give a finite number.")
