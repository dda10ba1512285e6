"""``python -m taskvectors.curate.croissant``: the datasets described for machines.

The description follows Croissant 1.0 (https://docs.mlcommons.org/croissant/). It lists the
dataset files with their hashes and what each column of a line means.
"""

from pathlib import Path
from typing import Any

import mlcroissant as mlc

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import sha256, write_json
from taskvectors.base.schemas import load_schema
from taskvectors.study.datasets import read_items

PAPER = "https://task-vectors-are-cross-modal.github.io"


def describe(name: str, files: list[Path], folder: Path) -> dict[str, Any]:
    """The description of ``files`` (``<task>/<split>.jsonl``), placed in ``folder``.

    Raises `UserError` where a file has a line that its schema does not allow.
    """
    described = mlc.Metadata(
        name=f"taskvectors-{name}",
        description=(
            "Entities with an image and a label, one file per task and split, for reading and "
            "patching task vectors. Each image has its own author and licence: see "
            "manifest.csv and ATTRIBUTION.md beside the images."
        ),
        license=["https://opensource.org/license/mit"],
        url=PAPER,
        cite_as=f"Luo, Darrell and Bar (2024). Task Vectors are Cross-Modal. {PAPER}",
        version="1.0.0",
        distribution=[_file(path, path.relative_to(folder).as_posix()) for path in files],
        record_sets=[_rows(path, path.relative_to(folder).as_posix()) for path in files],
    )
    return described.to_json()


def _file(path: Path, place: str) -> mlc.FileObject:
    return mlc.FileObject(
        id=place,
        name=place,
        content_url=place,
        encoding_formats=["application/jsonlines"],
        sha256=sha256(path),
    )


def _rows(path: Path, place: str) -> mlc.RecordSet:
    """A record set with one field per property of the item schema that the file has."""
    name = place.removesuffix(".jsonl")
    items = read_items(path)
    columns = {column for item in items for column in item.as_row()}
    fields = [
        mlc.Field(
            id=f"{name}/{key}",
            name=key,
            description=about.get("description", key),
            data_types=[mlc.DataType.TEXT],
            source=mlc.Source(file_object=place, extract=mlc.Extract(column=key)),
        )
        for key, about in load_schema("item")["properties"].items()
        if key in columns
    ]
    description = f"{len(items)} items."
    return mlc.RecordSet(id=name, name=name, description=description, fields=fields)


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--name", required=True, help="of the experiment")
    parser.add_argument("--items", required=True, nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    write_json(args.out, describe(args.name, args.items, args.out.parent))


if __name__ == "__main__":
    run_command(main)
