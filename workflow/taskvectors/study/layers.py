"""Which layers are shown where there is no room for all."""

from collections.abc import Iterable


def shown_layers(layers: Iterable[int], most: int) -> list[int]:
    """At most ``most`` of the layers, evenly spaced, with the first and the last."""
    ordered = sorted(set(layers))
    if len(ordered) <= most:
        return ordered
    step = (len(ordered) - 1) / (most - 1)
    return [ordered[round(index * step)] for index in range(most)]
