"""What an interval says of a claim: whether it holds."""

from collections.abc import Mapping
from typing import Any


def lines_of(claim: Mapping[str, Any]) -> tuple[float, float]:
    """The lines between which a quantity is claimed to lie; infinite where there is none."""
    return claim.get("above", float("-inf")), claim.get("below", float("inf"))


def verdict(claim: Mapping[str, Any], low: float, high: float) -> str:
    """What an interval says of a claim.

    It holds where the whole interval lies on the claimed side of its line or lines, does not
    hold where all of it lies on the other side, and is undecided where the interval holds a
    line, or where there is no interval.
    """
    above, below = lines_of(claim)
    if above < low and high < below:
        return "holds"
    return "does not hold" if high < above or below < low else "undecided"
