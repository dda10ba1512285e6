"""``python -m taskvectors.curate.croissant``: the datasets described for machines.

The description follows Croissant 1.0 (https://docs.mlcommons.org/croissant/). It lists the
dataset files with their hashes and what each column of a line means.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import sha256, write_json
from taskvectors.base.schemas import load_schema
from taskvectors.study.datasets import read_items

PAPER = "https://task-vectors-are-cross-modal.github.io"
# Croissant's own words for its terms; every description has to repeat them.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


def describe(name: str, files: list[Path], folder: Path) -> dict[str, Any]:
    """The description of ``files`` (``<task>/<split>.jsonl``), placed in ``folder``.

    Raises `UserError` where a file has a line that its schema does not allow.
    """
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": f"taskvectors-{name}",
        "description": (
            "Entities with an image and a label, one file per task and split, for reading and "
            "patching task vectors. Each image has its own author and licence: see "
            "manifest.csv and ATTRIBUTION.md beside the images."
        ),
        "license": "https://opensource.org/license/mit",
        "url": PAPER,
        "citeAs": f"Luo, Darrell and Bar (2024). Task Vectors are Cross-Modal. {PAPER}",
        "version": "1.0.0",
        "distribution": [_file(path, folder) for path in files],
        "recordSet": [_records(path, folder) for path in files],
    }


def _id(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _file(path: Path, folder: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": f"{_id(path, folder)}.jsonl",
        "name": f"{_id(path, folder)}.jsonl",
        "contentUrl": path.relative_to(folder).as_posix(),
        "encodingFormat": "application/jsonlines",
        "sha256": sha256(path),
    }


def _records(path: Path, folder: Path) -> dict[str, Any]:
    """A record set with one field per property of the item schema."""
    properties = load_schema("item")["properties"]
    return {
        "@type": "cr:RecordSet",
        "@id": _id(path, folder),
        "name": _id(path, folder),
        "description": f"{len(read_items(path))} items.",
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{_id(path, folder)}/{key}",
                "name": key,
                "description": about.get("description", key),
                "dataType": "sc:Text",
                "source": {
                    "fileObject": {"@id": f"{_id(path, folder)}.jsonl"},
                    "extract": {"column": key},
                },
            }
            for key, about in properties.items()
        ],
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--name", required=True, help="of the experiment")
    parser.add_argument("--items", required=True, nargs="+", type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    write_json(args.out, describe(args.name, args.items, args.out.parent))


if __name__ == "__main__":
    run_command(main)
