"""Tables 1 and 5: what is studied, the tasks with an example each and the models."""

from __future__ import annotations

import base64
import json
import mimetypes
import os
import struct
from html import escape
from math import prod
from pathlib import Path

import pandas as pd

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, write_text
from taskvectors.render.item import ShownItem, render_command
from taskvectors.render.tables import latex_escape, latex_frame, write_table
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


def table_1_markdown(data: pd.DataFrame, folder: Path) -> str:
    """Table 1 as Markdown in ``folder``; images are shown, small, from where they lie."""
    lines = ["| task | instruction | text exemplar | image exemplar |", "|:--|:--|:--|:--|"]
    for row in data.itertuples():
        source = Path(os.path.relpath(row.image, folder)).as_posix()
        image = f'<img src="{source}" alt="{escape(row.entity)}" height="40">'
        lines.append(
            f"| {row.task} | {row.instruction} | {row.entity} : {row.label} "
            f"| {image} : {row.label} |"
        )
    return "\n".join(lines)


def table_1_html(data: pd.DataFrame, caption: str) -> str:
    """Table 1 as one page that needs no other file: the images are inside."""
    rows = []
    for row in data.itertuples():
        encoded = base64.b64encode(Path(row.image).read_bytes()).decode("ascii")
        kind = mimetypes.guess_type(row.image)[0]
        image = f'<img src="data:{kind};base64,{encoded}" alt="{escape(row.entity)}" height="48">'
        texts = [row.task, row.instruction, f"{row.entity} : {row.label}"]
        cells = [*map(escape, texts), f"{image} : {escape(row.label)}"]
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    heads = "".join(
        f"<th>{name}</th>" for name in ("task", "instruction", "text exemplar", "image exemplar")
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Table 1</title>'
        "<style>body{font:14px sans-serif}td,th{padding:4px 12px;text-align:left}"
        "img{vertical-align:middle}</style></head>\n"
        f"<body><p>{escape(caption)}</p>\n<table><thead><tr>{heads}</tr></thead>\n<tbody>\n"
        + "\n".join(rows)
        + "\n</tbody></table></body></html>\n"
    )


def table_1_latex(data: pd.DataFrame, caption: str) -> str:
    """Table 1 as LaTeX; images by ``\\includegraphics`` from the repository's root."""
    cells = []
    for row in data.itertuples():
        text = latex_escape(f"{row.entity} : {row.label}")
        image = rf"\includegraphics[height=2em]{{{row.image}}} : {latex_escape(row.label)}"
        cells.append([latex_escape(row.task), latex_escape(row.instruction), text, image])
    columns = ["task", "instruction", "text exemplar", "image exemplar"]
    framed = latex_frame(pd.DataFrame(cells, columns=columns), caption, "table_1")
    return "% needs \\usepackage{graphicx}\n" + framed


def render_table_1(item: ShownItem) -> None:
    """Write Table 1; its Markdown shows the images, its CSV has their paths."""
    examples = item.by("examples", item.tasks)
    data = table_1_data(read_tasks(item.one("tasks")), {t: path for (t,), path in examples.items()})
    caption = item.caption([])
    write_text(item.out.with_suffix(".csv"), data.to_csv(index=False, lineterminator="\n"))
    shown = table_1_markdown(data, item.out.parent)
    write_text(item.out.with_suffix(".md"), f"{caption}\n\n{shown}\n")
    write_text(item.out.with_suffix(".html"), table_1_html(data, caption))
    write_text(item.out.with_suffix(".tex"), table_1_latex(data, caption))


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
