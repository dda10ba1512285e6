"""Every table and figure by its name: the module that renders it, and what it reads.

A module is imported only for its own items, and an item's rule hashes only the code of its own
module, so that a changed figure leaves those of other modules as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from taskvectors.base.pages import template_files
from taskvectors.record.code import code_hash


@dataclass(frozen=True)
class Item:
    """A table or figure. ``inputs`` are path patterns by name, no more than the item needs;
    ``{model}`` and ``{task}`` stand for every model and task, ``{template}`` for the shown one and
    ``{each_template}`` for all; ``{vlm}`` for every VLM with a language model, ``{transfer}`` for
    the folders of what their vectors did, and ``{read_by}`` for both models of every pair.
    ``beside`` are other items whose data it reads where they are made; ``resamples`` says that
    it has a bootstrap of its own."""

    module: str
    inputs: dict[str, str | list[str]] = field(default_factory=dict)
    beside: tuple[str, ...] = ()
    resamples: bool = False


SCORE = "{results}/score/{model}/{template}"
READ = "{results}/read/{model}/{template}/{task}"
WRITE = "{results}/write/{model}/{template}/{task}"
DECODED = "{results}/score/{model}/{template}/{task}"
MODEL = "{results}/prepare/{model}"

_DECODED = {
    "layer": f"{SCORE}/layer.json",
    "decodings": "{results}/score/{model}/{template}/{task}/decodings.csv",
    "prompts": f"{READ}/activations.json",
}
_SCORES = {"scores": f"{SCORE}/accuracy.csv"}
_PHASES = {"phases": f"{DECODED}/phases.csv"}
_TOPS = {"tops": f"{DECODED}/tops.csv"}
_ANSWERS = {
    "answers": "{results}/qualitative/{model}/{template}/answers.jsonl",
    "images": "{images}",
}
_CONFLICT = {"scores": f"{SCORE}/conflict.csv"}
_PUBLISHED = (
    *(f"table_{number}" for number in range(2, 9)),
    "figure_8",
    "layers",
)
_TRANSFER = {
    "scores": "{results}/score/{vlm}/{template}/accuracy.csv",
    "layer": "{results}/score/{vlm}/{template}/layer.json",
    "transferred": "{results}/score/{transfer}/accuracy.csv",
    "own_layer": "{results}/score/{transfer}/layer.json",
}
_READ_BY = "{results}/average/{read_by}/{template}/{task}/vectors.safetensors"

ITEMS = {
    "reproduction": Item(
        "reproduction",
        {
            "claims": "resources/paper/claims.yaml",
            "paper": [f"resources/paper/{name}.csv" for name in _PUBLISHED],
            "models": "resources/models.yaml",
            "baselines": f"{READ}/baselines.parquet",
            "patched": f"{WRITE}/test.parquet",
            "examples": "{results}/curate/{task}/test.jsonl",
            "exemplars": "{results}/curate/{task}/exemplars.jsonl",
            "by_layer": f"{SCORE}/by_layer.csv",
            "layer": f"{SCORE}/layer.json",
            **_PHASES,
        },
        beside=(
            "table_2",
            "figure_tsne",
            "table_4",
            "table_6",
            "table_7",
            "table_conflict",
            "table_descriptions",
        ),
        resamples=True,
    ),
    "table_1": Item(
        "overview",
        {
            "tasks": "resources/tasks.yaml",
            "examples": "{results}/curate/{task}/validation.jsonl",
            "images": "{images}",
            "page": template_files("render/printed.html.j2"),
        },
    ),
    "table_2": Item("decodings", _DECODED),
    "table_2_instruction": Item("decodings", _DECODED),
    "table_3": Item("tables", _SCORES),
    "table_4": Item("transfer", {**_TRANSFER, "vectors": _READ_BY}),
    "table_5": Item(
        "overview",
        {
            "sources": "resources/models.yaml",
            "models": MODEL,
            "layers": f"{READ}/activations.json",
        },
    ),
    "table_6": Item(
        "templates", {"scores": "{results}/score/{model}/{each_template}/accuracy.csv"}
    ),
    "table_7": Item("transfer", _TRANSFER),
    "table_8": Item("tables", _SCORES),
    "table_conflict": Item("conflict", _CONFLICT),
    "table_descriptions": Item("descriptions", {"scores": f"{SCORE}/descriptions.csv"}),
    "naming": Item("tables"),
    "figure_3": Item("evolution", _PHASES),
    "figure_3_all": Item("evolution", _PHASES),
    "figure_3_instruction": Item("evolution", _PHASES),
    "figure_4": Item("evolution", _TOPS),
    "figure_4_all": Item("evolution", _TOPS),
    "figure_5": Item("grids", _ANSWERS),
    "figure_7": Item("grids", _ANSWERS),
    "figure_8": Item("samples", {"patched": f"{WRITE}/test.parquet"}),
    "figure_9": Item("grids", _ANSWERS),
    "figure_10": Item("grids", _ANSWERS),
    "figure_11": Item(
        "figures",
        {
            "by_layer": f"{SCORE}/by_layer.csv",
            "layer": f"{SCORE}/layer.json",
            "baselines": f"{READ}/baselines.parquet",
        },
    ),
    "figure_conflict": Item("conflict", _CONFLICT),
    "figure_tsne": Item("tsne", {"activations": f"{READ}/activations.safetensors"}),
}

# What there is only where two tasks ask about one entity set.
CONFLICT = ("table_conflict", "figure_9", "figure_conflict")


def module_of(item: str) -> str:
    """The dotted name of the module whose ``RENDERERS`` has ``item``."""
    return f"taskvectors.render.{ITEMS[item].module}"


def code_of(item: str) -> str:
    """The hash of the code of an item's renderer."""
    return code_hash(module_of(item))
