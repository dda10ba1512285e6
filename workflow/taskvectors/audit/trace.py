"""``python -m taskvectors.audit trace``: what a file was made from, back to images and labels."""

import argparse
import json
from pathlib import Path
from typing import Any

from taskvectors.audit.lineage import Lineage, Record, find_target
from taskvectors.audit.page import page
from taskvectors.audit.tree import tree, used_labels
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_text
from taskvectors.base.schemas import read_yaml
from taskvectors.study.manifest import is_manifest, read_manifest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the subcommand."""
    parser.add_argument("target", help="a file below results/, or an item such as table_3")
    parser.add_argument("--results", type=Path, help="where an item is looked up; else config.yaml")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="the whole lineage as JSON")
    shown.add_argument("--html", type=Path, help="write it as a page with thumbnails")
    shown.add_argument("--cell", help="model,method,task: the predictions behind a table's cell")
    parser.add_argument("--all", action="store_true", help="every file, image and label")


def main(args: argparse.Namespace) -> None:
    """Show the lineage of ``args.target``. Raises `UserError` where it has no record."""
    config = Path("config.yaml")
    if args.results is None and not config.exists():
        raise UserError(
            "there is no config.yaml here that names an experiment; work in the checkout's folder, "
            "or name --results."
        )
    results = args.results or Path("results") / read_yaml(config)["experiment"]
    lineage, record = find_target(args.target, results)
    if args.cell:
        from taskvectors.audit.cell import show_cell  # it needs pandas, which takes a second

        show_cell(lineage, record, args.cell)
    elif args.json:
        print(json.dumps(as_data(lineage, record), indent=1, ensure_ascii=False))
    elif args.html:
        write_text(args.html, page(lineage, record))
        print(f"wrote {args.html}")
    else:
        print("\n".join(tree(lineage, record, args.all)))


def as_data(lineage: Lineage, target: Record) -> dict[str, Any]:
    """The lineage as data: jobs' records (makers first), sources, every image and label."""
    records = lineage.ancestry([target])
    sources = {given["path"]: given for r in records for given in lineage.sources(r)}
    manifests = [record.path for record in records if is_manifest(record.path)]
    return {
        "target": target.path,
        "records": [
            {name: value for name, value in vars(record).items() if name != "config"}
            for record in records
        ],
        "config": target.config,
        "sources": [
            {**given, "unchanged": lineage.unchanged(given), "record": None}
            for given in sources.values()
        ],
        "images": [
            {
                **vars(image),
                "path": image.path.relative_to(lineage.root).as_posix(),
                "manifest": path,
            }
            for path in manifests
            for image in read_manifest(lineage.root / path)
        ],
        "labels": [
            {**vars(label), "table": path}
            for path in sources
            for label in used_labels(lineage, path, records)
        ],
    }
