"""Controls: vectors that should do nothing, beside a task's real one, and how they are named.

Whoever patches any of them into a query and is answered as with the real vector has not shown that
the real one carries the task.
"""

from collections.abc import Mapping
from typing import TypeVar

from taskvectors.study.vectors import BEFORE_TEXT, parse_vector_name, vector_name

Value = TypeVar("Value")

SHUFFLED_LABELS, NOISE, IRRELEVANT = "shuffled_labels", "noise", "irrelevant"
OTHER_TASK, RANDOM = "other_task", "random"
# By the specification of the vector that they stand beside.
CONTROLS = {
    "text_icl": (SHUFFLED_LABELS, OTHER_TASK, RANDOM),
    "image_icl": (SHUFFLED_LABELS, NOISE, IRRELEVANT, OTHER_TASK, RANDOM),
}


def control_name(specification: str, control: str) -> str:
    """The specification of a control's vector: ``text_icl_random``."""
    return f"{specification}_{control}"


def controlled(specification: str) -> str:
    """What a specification is the control of; any other one as it is."""
    named = {control_name(icl, each): icl for icl, some in CONTROLS.items() for each in some}
    return named.get(specification, specification)


def with_controls(vectors: Mapping[str, Value]) -> dict[str, Value]:
    """The vectors that have controls, by name: exemplars' own, no subset or ensemble of them."""
    return {
        name: vector
        for name, vector in vectors.items()
        if parse_vector_name(name)[0].removesuffix(BEFORE_TEXT) in CONTROLS
    }


def control_of(name: str, control: str) -> str:
    """The name of a vector's control: ``text_icl_random/1`` of ``text_icl/1``."""
    full, seed = parse_vector_name(name)
    specification = full.removesuffix(BEFORE_TEXT)
    suffix = full.removeprefix(specification)
    return vector_name(control_name(specification, control) + suffix, seed)
