"""Task overriding: prompts that ask one thing while a vector asks another, and what was answered.

As in Table 5 and Figure 7 of the paper's ICML version, whose prompts are not at hand; those in
``resources/qualitative/conflicts.yaml`` were written for this project.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.schemas import check, read_yaml

KINDS = ("semantic", "syntax", "creative", "factual")
# How a prompt is asked: as it is; with the instruction in front, where a chat template has a system
# turn in that; with the instruction's vector patched in.
SYSTEM_PROMPT, PATCH = "system_prompt", "patch"
METHODS = ("prompt", SYSTEM_PROMPT, PATCH)
Criterion = dict[str, Any]  # one of those that conflicts.yaml explains, its labels filled in


@dataclass(frozen=True)
class Override:
    """One prompt and the instruction against it: when an answer does what is ``asked`` by the
    prompt, and what is ``patched`` in by the instruction's vector."""

    kind: str
    instruction: str
    prompt: str
    asked: Criterion
    patched: Criterion

    @property
    def criteria(self) -> dict[str, Criterion]:
        """Both, by their names."""
        return {"asked": self.asked, "patched": self.patched}


def read_overrides(path: Path) -> list[Override]:
    """All prompts, kind by kind. Raises `UserError` where the file is not valid, or a prompt that
    is judged by its labels has none."""
    raw = read_yaml(path)
    check(raw, "conflicts", str(path))
    return [one for kind in KINDS for block in raw[kind] for one in _of_block(path, kind, block)]


def _of_block(path: Path, kind: str, block: dict[str, Any]) -> Iterator[Override]:
    for prompt in block["prompts"]:
        criteria = {}
        for side in ("asked", "patched"):
            criteria[side] = dict(block[side])
            if "label" in criteria[side]:
                if side not in prompt:
                    raise UserError(
                        f"{path}: the prompt {prompt['text']!r} has no labels for `{side}`; add "
                        "them."
                    )
                criteria[side]["label"] = prompt[side]
        yield Override(kind, block["instruction"], prompt["text"], **criteria)
