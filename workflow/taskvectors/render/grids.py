"""Figures 5, 7, 9 and 10: what the models write, for a few items in the paper's layout."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

import pandas as pd

from taskvectors.base.files import read_jsonl
from taskvectors.render.drawn import write_figure
from taskvectors.render.grid import GridCell, Line, draw_grid
from taskvectors.render.item import ShownItem, render_command
from taskvectors.study.metrics import matches
from taskvectors.study.words import visible

ANSWERS = 3.2  # inches of a model's column
UNBROKEN = "\u00a0"
LETTERS = 44  # of a line of text, and of an answer with its method
COLUMNS = ("model", "task", "patched", "entity", "label", "patched_label", "method", "layer")

Written = dict[str, Any]


@dataclass(frozen=True)
class Grid:
    """How a figure is laid out: which answers it shows, and what stands left of them.

    ``kind`` and ``methods`` choose lines of ``answers.jsonl``; ``left`` makes the first two
    cells of a row from one of its answers.
    """

    kind: str
    methods: tuple[str, ...]
    headers: tuple[str, str]
    widths: tuple[float, float]
    height: float
    left: Callable[[Written], tuple[GridCell, GridCell]]


def wrapped(text: str, letters: int = LETTERS) -> tuple[Line, ...]:
    """A text as lines of at most ``letters`` letters; it is not broken at `UNBROKEN` spaces."""
    return tuple(Line(part.replace(UNBROKEN, " ")) for part in wrap(text, letters))


def query_cell(answer: Written) -> GridCell:
    """The query's image with the right answer below."""
    return GridCell(images=((answer["image"], f"→ {answer['label']}"),))


def examples_left(answer: Written) -> tuple[GridCell, GridCell]:
    """Figure 5: the text exemplars, and the image."""
    # No line begins with a colon or a dot.
    pairs = [f"{name}{UNBROKEN}: {label}" for name, label in answer["exemplars"]]
    shown = f"{UNBROKEN}· ".join(pairs)
    return GridCell((Line(answer["task"]), *wrapped(shown))), query_cell(answer)


def instruction_left(answer: Written) -> tuple[GridCell, GridCell]:
    """Figure 7: the instruction, and the image."""
    return GridCell(wrapped(answer["instruction"])), query_cell(answer)


def conflict_left(answer: Written) -> tuple[GridCell, GridCell]:
    """Figure 9: the instructions of both tasks, and the image with both right answers."""
    prompt = wrapped(f"prompt: {answer['instruction']}")
    patch = wrapped(f"patch: {answer['patched_instruction']}")
    both = f"→ {answer['label']} / {answer['patched_label']}"
    return GridCell((*prompt, *patch)), GridCell(images=((answer["image"], both),))


def description_left(answer: Written) -> tuple[GridCell, GridCell]:
    """Figure 10: the image exemplars, and the description with the right answer."""
    images = tuple((image, label) for image, label in answer["exemplars"])
    text = wrapped(f"{answer['description']} → {answer['label']}")
    return GridCell(images=images), GridCell((Line(answer["task"]), *text))


GRIDS = {
    "figure_5": Grid(
        "transfer",
        ("no_context", "text_icl_xbase", "text_icl_xpatch"),
        ("Text ICL examples", "Image query"),
        (2.5, 1.1),
        0.72,
        examples_left,
    ),
    "figure_7": Grid(
        "transfer",
        ("no_context", "instruction_xpatch"),
        ("Instruction", "Image query"),
        (2.5, 1.1),
        0.6,
        instruction_left,
    ),
    "figure_9": Grid(
        "conflict",
        ("prompt", "instruction_xpatch", "text_icl_xpatch"),
        ("Prompted and patched task", "Image query"),
        (2.5, 1.7),
        0.72,
        conflict_left,
    ),
    "figure_10": Grid(
        "description",
        ("text_icl_base", "image_icl_xbase", "image_icl_xpatch"),
        ("Image ICL examples", "Text query"),
        (4.0, 2.5),
        0.92,
        description_left,
    ),
}


def right_for(answer: Written) -> list[str]:
    """The labels' tasks for which the answer is right by its first token: ``prompt`` is the
    task that was asked, ``patch`` the conflicting one."""
    labels = {"prompt": answer["label"], "patch": answer.get("patched_label", "")}
    return [which for which, label in labels.items() if matches(answer["token"], label)]


def answer_line(answer: Written) -> Line:
    """An answer with its method; a right one is marked, and said for which task in a conflict."""
    right = right_for(answer)
    plus = "+ " if answer["kind"] == "conflict" and answer["method"] != "prompt" else ""
    whose = f" ({', '.join(right)})" if right and answer["kind"] == "conflict" else ""
    text = f"{plus}{answer['method']}: {visible(answer['text'])}"
    return Line(text[:LETTERS] + whose, bold=bool(right))


def chosen_answers(answers: Sequence[Written], grid: Grid, tasks: Sequence[str]) -> list[Written]:
    """The answers that a figure shows, by task in the experiment's order."""
    chosen = [a for a in answers if a["kind"] == grid.kind and a["method"] in grid.methods]
    return sorted(chosen, key=lambda answer: tasks.index(answer["task"]))


def grid_rows(
    answers: Sequence[Written], grid: Grid, models: Sequence[str]
) -> list[tuple[GridCell, ...]]:
    """A row per case; a model that was not asked a case, or by a method, says so."""
    cases: dict[tuple, dict[tuple[str, str], Written]] = {}
    for answer in answers:
        case = cases.setdefault((answer["task"], answer.get("patched"), answer["entity"]), {})
        case[answer["model"], answer["method"]] = answer
    rows = []
    for case in cases.values():
        left = grid.left(next(iter(case.values())))
        written = []
        for model in models:
            lines = [
                answer_line(case[model, method])
                if (model, method) in case
                else Line(f"{method}: not asked")
                for method in grid.methods
            ]
            written.append(GridCell(tuple(lines)))
        rows.append((*left, *written))
    return rows


def grid_data(answers: Sequence[Written]) -> pd.DataFrame:
    """What is shown, a row per answer; ``right`` names the tasks it is right for."""
    rows = []
    for answer in answers:
        row = {name: answer.get(name) for name in COLUMNS}
        shown = [f"{one} : {label}" for one, label in answer.get("exemplars", [])]
        rows.append(
            {
                **row,
                "query": answer.get("description", answer["image"]),
                "exemplars": " · ".join(shown),
                "token": answer["token"],
                "text": answer["text"],
                "right": " ".join(right_for(answer)),
            }
        )
    columns = [*COLUMNS, "query", "exemplars", "token", "text", "right"]
    return pd.DataFrame(rows, columns=columns)


def render_grid(item: ShownItem) -> None:
    """Write a qualitative figure from the answers of all models."""
    grid = GRIDS[item.name]
    answers = [
        answer
        for path in item.by_model("answers").values()
        for answer in chosen_answers(read_jsonl(path), grid, item.tasks)
    ]
    rows = grid_rows(answers, grid, item.models)
    headers = (*grid.headers, *item.models)
    widths = (*grid.widths, *[ANSWERS for _ in item.models])
    figure = draw_grid(headers, widths, rows, grid.height)
    write_figure(item, [figure], grid_data(answers), [f"{len(rows)} cases."])


if __name__ == "__main__":
    render_command(__doc__, dict.fromkeys(GRIDS, render_grid))
