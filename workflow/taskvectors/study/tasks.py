"""The tasks in ``resources/tasks.yaml``."""

from dataclasses import dataclass, field
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.schemas import check, read_yaml


@dataclass(frozen=True)
class Task:
    """A mapping from entities to labels, and the instruction that names it.

    ``wordings`` are the instruction with noise, by its kind; ``tokens`` are the words that stand
    for the phases input, task and answer in Figure 3.
    """

    name: str
    entity_set: str
    label: str
    instruction: str
    wordings: dict[str, list[str]] = field(default_factory=dict)
    tokens: dict[str, list[str]] = field(default_factory=dict)


def read_tasks(path: Path) -> dict[str, Task]:
    """All tasks by name, in the file's order. Raises `UserError` where the file is not valid."""
    raw = read_yaml(path)
    check(raw, "tasks", str(path))
    return {name: Task(name=name, **fields) for name, fields in raw.items()}


def find_task(path: Path, name: str) -> Task:
    """The task called ``name``. Raises `UserError` with the known names if there is none."""
    tasks = read_tasks(path)
    if name not in tasks:
        raise UserError(f"unknown task {name!r}; {path} has {', '.join(tasks)}.")
    return tasks[name]
