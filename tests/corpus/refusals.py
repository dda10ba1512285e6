"""What is right of any hostile or broken input: one sentence, and nothing left behind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError

LONGEST = 2500  # characters of a sentence that a person reads to the end
#: Of a table many rows may be wrong, each in a line of its own below the sentence.
LISTED = re.compile(r"[^\n]+:(\n {2}[^\n]+)+")


def refusal(call: Callable[[], Any]) -> str | None:
    """The sentence of a refusal, None where there is none; any other exception is raised."""
    try:
        call()
    except UserError as error:
        said = str(error)
    else:
        return None
    assert len(said) <= LONGEST, f"{len(said)} characters: {said[:LONGEST]}"
    assert LISTED.fullmatch(said) or re.fullmatch(r"[^\n\0]+[.?]", said), repr(said)
    return said


def files_in(folder: Path) -> set[str]:
    """All that lies below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
