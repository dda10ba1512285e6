"""``python -m taskvectors.curate.croissant``: the datasets described for machines.

The description follows Croissant 1.0 (https://docs.mlcommons.org/croissant/). It lists files with
their hashes and what each column means. The files are Parquet copies of the datasets: in JSON lines
and CSV, Croissant's library reads texts that look like numbers as numbers ("007" as 7).
"""

from pathlib import Path
from typing import Any

import mlcroissant as mlc

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import folder_written_whole, sha256, write_json
from taskvectors.base.parquet import read_rows, write_rows
from taskvectors.base.schemas import load_schema
from taskvectors.study.datasets import Item, read_items

PAPER = "https://task-vectors-are-cross-modal.github.io"


def describe(name: str, files: list[Path], folder: Path) -> dict[str, Any]:
    """The description of ``files`` (``<task>/<split>.parquet``), placed in ``folder``.

    Raises `UserError` where a file does not have the columns of `Item`.
    """
    described = mlc.Metadata(
        name=f"taskvectors-{name}",
        description=(
            "Entities with an image and a label, one file per task and split, for reading and "
            "patching task vectors. The images are not among the files; each has its own author "
            "and licence: see the manifest.csv beside the images, or ATTRIBUTION.html."
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
        encoding_formats=["application/x-parquet"],
        sha256=sha256(path),
    )


def _rows(path: Path, place: str) -> mlc.RecordSet:
    """A record set with one field per property of the item schema."""
    name = f"{path.parent.name}/{path.stem}"
    fields = [
        mlc.Field(
            id=f"{name}/{key}",
            name=key,
            description=about.get("description", key),
            data_types=[mlc.DataType.TEXT],
            source=mlc.Source(file_object=place, extract=mlc.Extract(column=key)),
        )
        for key, about in load_schema("item")["properties"].items()
    ]
    description = f"{len(read_rows([path], Item))} items."
    return mlc.RecordSet(id=name, name=name, description=description, fields=fields)


def write_items(files: list[Path], folder: Path) -> list[Path]:
    """Copy ``<task>/<split>.jsonl`` to ``<task>/<split>.parquet`` in ``folder``, and say where to.

    Raises `UserError` where a file has a line that its schema does not allow.
    """
    copies = [Path(path.parent.name, f"{path.stem}.parquet") for path in files]
    with folder_written_whole(folder) as temporary:
        for path, copy in zip(files, copies, strict=True):
            write_rows(temporary / copy, Item, read_items(path))
    return [folder / copy for copy in copies]


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--name", required=True, help="of the experiment")
    parser.add_argument("--items", required=True, nargs="+", type=Path)
    parser.add_argument("--copies", required=True, type=Path, help="a folder for Parquet files")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    copies = write_items(args.items, args.copies)
    write_json(args.out, describe(args.name, copies, args.out.parent))


if __name__ == "__main__":
    run_command(main)
