"""Controls: vectors that should do nothing, beside a task's real one, and how they are named.

Whoever patches any of them into a query and is answered as with the real vector has not shown that
the real one carries the task.
"""

from taskvectors.study.vectors import (
    BEFORE_TEXT,
    parse_vector_name,
    vector_name,
)

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


def control_of(name: str, control: str) -> str | None:
    """The name of the control of a vector, ``text_icl_random/1`` of ``text_icl/1``; None of a
    vector that has no such control."""
    full, seed = parse_vector_name(name)
    specification = full.removesuffix(BEFORE_TEXT)
    if control not in CONTROLS.get(specification, ()):
        return None
    suffix = full.removeprefix(specification)
    return vector_name(control_name(specification, control) + suffix, seed)
