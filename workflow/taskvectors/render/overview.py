"""Tables 1 and 5: what is studied, the tasks with an example each and the models."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from math import prod
from pathlib import Path

import pandas as pd

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json
from taskvectors.render.printed import PrintedCell, write_page, write_table
from taskvectors.render.run import PUBLISHED, Run
from taskvectors.study.config import ModelSource, read_models
from taskvectors.study.datasets import read_items
from taskvectors.study.tasks import Task, read_tasks

TASKS = Path("resources/tasks.yaml")
MODELS = Path("resources/models.yaml")
FACTS = ("text_model", "vision_model", "paradigm", "image_icl")


def table_1_data(tasks: dict[str, Task], results: Path, names: Sequence[str]) -> pd.DataFrame:
    """A row per task: its instruction, and a validation item as text and as an image.

    The first task shows its first item, the second its second and so on, so that tasks of
    one entity set show different entities.
    """
    rows = []
    for number, name in enumerate(names):
        items = read_items(results / "curate" / name / "validation.jsonl")
        item = items[number % len(items)]
        rows.append(
            {
                "task": name,
                "instruction": tasks[name].instruction,
                "entity": item.entity,
                "image": item.image,
                "label": item.label,
            }
        )
    return pd.DataFrame(rows)


def table_1_printed(data: pd.DataFrame) -> pd.DataFrame:
    """Table 1 as it is printed: each item as a text exemplar and as an image exemplar."""
    images = [PrintedCell(f": {row.label}", row.image, row.entity) for row in data.itertuples()]
    exemplars = {"text exemplar": data["entity"] + " : " + data["label"], "image exemplar": images}
    return data[["task", "instruction"]].assign(**exemplars)


def render_table_1(run: Run) -> None:
    """Write Table 1, and a page of it that has the images inside; its CSV has their paths."""
    data = table_1_data(read_tasks(TASKS), run.results, run.tasks)
    printed, caption = table_1_printed(data), run.caption([])
    write_table(data, printed, caption, run.out)
    write_page(printed, "Table 1", caption, run.out.with_suffix(".html"))


def count_parameters(folder: Path) -> int:
    """Parameters in a checkpoint folder, from the headers of its safetensors files.

    Raises `UserError` where there is none.
    """
    total = 0
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} has no safetensors file; prepare the model again.")
    for path in files:
        with path.open("rb") as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            header = json.loads(handle.read(length))
        header.pop("__metadata__", None)
        total += sum(prod(tensor["shape"]) for tensor in header.values())
    return total


def table_5_data(run: Run, sources: dict[str, ModelSource]) -> pd.DataFrame:
    """Our models, with parameters and layers counted, and the paper's as published."""
    rows = []
    for model in run.models:
        source = sources[model]
        sidecar = read_json(run.of("read", model, run.tasks[0]) / "activations.json")
        rows.append(
            {
                "model": model,
                "source": "ours",
                **{fact: getattr(source, fact) for fact in FACTS},
                "parameters": count_parameters(run.results / "prepare" / model) / 1e9,
                "layers": sidecar["layers"],
                "revision": source.revision,
            }
        )
    paper = pd.read_csv(PUBLISHED / "table_5.csv").assign(source="paper").to_dict("records")
    return pd.DataFrame(rows + paper)


def render_table_5(run: Run) -> None:
    """Write Table 5; parameters are in billions."""
    data = table_5_data(run, read_models(MODELS))
    printed = data.astype(object).where(data.notna(), "–")
    printed["image_icl"] = ["yes" if value else "no" for value in data["image_icl"]]
    printed["parameters"] = [f"{value:.3g}B" for value in data["parameters"]]
    printed["revision"] = [str(value)[:12] for value in printed["revision"]]
    write_table(data, printed, run.caption([]), run.out)


RENDERERS = {"table_1": render_table_1, "table_5": render_table_5}
