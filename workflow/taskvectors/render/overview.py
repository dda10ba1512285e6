"""Tables 1 and 5: what is studied, the tasks with an example each and the models."""

from math import prod
from pathlib import Path

import pandas as pd
from safetensors import safe_open

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_text
from taskvectors.base.pages import render_page
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.printed import PrintedCell, printed_table, write_table
from taskvectors.study.config import read_models
from taskvectors.study.datasets import read_items
from taskvectors.study.tasks import Task, read_tasks

FACTS = ("text_model", "vision_model", "paradigm", "image_icl")


def table_1_data(tasks: dict[str, Task], examples: dict[str, Path]) -> pd.DataFrame:
    """A row per task: its instruction, and a validation item as text and as an image.

    The first task shows its first item, the second its second and so on, so that tasks of
    one entity set show different entities. ``examples`` are the validation items by task.
    """
    rows = []
    for number, (name, path) in enumerate(examples.items()):
        items = read_items(path)
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


def table_1_page(printed: pd.DataFrame, caption: str) -> str:
    """Table 1 as one page that needs no other file: the images are inside."""
    return render_page("render/table_1.html.j2", table=printed_table(printed, caption))


def render_table_1(item: ShownItem) -> None:
    """Write Table 1, and a page of it that has the images inside; its CSV has their paths."""
    examples = item.by("examples", item.tasks)
    data = table_1_data(read_tasks(item.one("tasks")), {t: path for (t,), path in examples.items()})
    printed, caption = table_1_printed(data), item.caption([])
    write_table(data, printed, caption, item.out)
    write_text(item.out.with_suffix(".html"), table_1_page(printed, caption))


def count_parameters(folder: Path) -> int:
    """Parameters in a checkpoint folder, from the headers of its safetensors files.

    Raises `UserError` where there is none.
    """
    total = 0
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise UserError(f"{folder} has no safetensors file; prepare the model again.")
    for path in files:
        with safe_open(path, framework="pt") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total


def table_5_data(item: ShownItem) -> pd.DataFrame:
    """Our models, with parameters and layers counted, and the paper's as published."""
    sources, checkpoints = read_models(item.one("sources")), item.by_model("checkpoints")
    rows = []
    for model in item.models:
        source = sources[model]
        rows.append(
            {
                "model": model,
                "source": "ours",
                **{fact: getattr(source, fact) for fact in FACTS},
                "parameters": count_parameters(checkpoints[model]) / 1e9,
                "layers": read_json(item.of_model("layers", model)[0])["layers"],
                "revision": source.revision,
            }
        )
    paper = item.published().assign(source="paper").to_dict("records")
    return pd.DataFrame(rows + paper)


def render_table_5(item: ShownItem) -> None:
    """Write Table 5; parameters are in billions."""
    data = table_5_data(item)
    printed = data.astype(object).where(data.notna(), "–")
    printed["image_icl"] = ["yes" if value else "no" for value in data["image_icl"]]
    printed["parameters"] = [f"{value:.3g}B" for value in data["parameters"]]
    printed["revision"] = [str(value)[:12] for value in printed["revision"]]
    write_table(data, printed, item.caption([]), item.out)


if __name__ == "__main__":
    render_command(__doc__, {"table_1": render_table_1, "table_5": render_table_5})
