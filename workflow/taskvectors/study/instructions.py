"""Instructions with noise in them: other wordings of a task's instruction, by their kind.

The ICML version of the paper asks how an instruction vector holds when the instruction is noisy
(its Table 9). A wording is named like a vector of a seed: ``instruction_typing_errors/2`` is the
second of its kind, so that whatever is scored over seeds is scored over wordings.
"""

from collections.abc import Iterable

from taskvectors.base.errors import UserError
from taskvectors.study.tasks import Task
from taskvectors.study.vectors import INSTRUCTION, vector_name

KINDS = ("paraphrase", "typing_errors", "other_language", "irrelevant_words", "contradictory")
MEAN = "mean_of_wordings"  # the mean of the vectors of all wordings, the plain one left out


def worded(kind: str) -> str:
    """The specification of a wording of one kind: ``instruction_paraphrase``."""
    return f"{INSTRUCTION}_{kind}"


#: Every specification that is an instruction with noise, or made of such.
WORDED = tuple(worded(kind) for kind in (*KINDS, MEAN))


def wordings_of(task: Task) -> dict[str, str]:
    """A task's wordings by name; the plain instruction, ``instruction``, is the first."""
    noisy = {
        vector_name(worded(kind), number): text
        for kind in KINDS
        for number, text in enumerate(task.wordings.get(kind, []), start=1)
    }
    return {INSTRUCTION: task.instruction, **noisy}


def check_wordings(tasks: Iterable[Task]) -> None:
    """Raise `UserError` where tasks that are averaged have no, or not equally many, wordings."""
    first: Task | None = None
    for task in tasks:
        if not task.wordings:
            raise UserError(
                f"the task {task.name} has no wordings; add them in resources/tasks.yaml, or run "
                "it with `--config instructions=false`."
            )
        first = first or task
        if _counts(task) != _counts(first):
            raise UserError(
                f"resources/tasks.yaml: {task.name} has {_described(task)}, but {first.name} has "
                f"{_described(first)}; give each task as many wordings of each kind."
            )


def _counts(task: Task) -> dict[str, int]:
    return {kind: len(task.wordings[kind]) for kind in KINDS if kind in task.wordings}


def _described(task: Task) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in _counts(task).items())
