"""``python -m taskvectors.publish``: a folder for the hub: vectors, datasets, tables, a card.

Every vector is a file of its own that says what it is of (`taskvectors.api.vectors`), so that
whoever downloads it can open it without this workflow's folders.
"""

import argparse
import logging
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from taskvectors.api.vectors import LAST_TOKEN, NAME, About, TaskVector
from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import folder_written_whole, read_json, write_text
from taskvectors.base.progress import track
from taskvectors.base.tensors import read_tensors
from taskvectors.models.checkpoint import revision_of
from taskvectors.study.datasets import SPLITS
from taskvectors.study.manifest import NOT_STATED, CollectedImage, read_manifest
from taskvectors.study.predictions import ICL_MODALITY
from taskvectors.study.tasks import read_tasks
from taskvectors.study.vectors import EXEMPLAR_SITE, INSTRUCTION, parse_vector_name

log = logging.getLogger("taskvectors")
TAGS = ["task-vectors", "interpretability", "vision-language-models"]
ALL_TASKS = "all_tasks"  # the configuration of all datasets; no task's name has an underscore


@dataclass(frozen=True)
class PublishedVector:
    """A vector and where it goes in the folder."""

    path: Path
    vector: TaskVector


def licences(images: Sequence[CollectedImage], entity_set: str, entities: Sequence[str]) -> str:
    """The licences of some entities' images, one after the other; some may not be stated."""
    wanted = {(entity_set, entity) for entity in entities}
    found = {i.licence or NOT_STATED for i in images if (i.entity_set, i.entity) in wanted}
    return ", ".join(sorted(found))


def published(
    vectors: Path, sidecar: dict[str, Any], revision: str, licence: str
) -> Iterator[PublishedVector]:
    """The vectors of one task: of each specification and seed, no subsets and no ensembles."""
    for name, tensor in read_tensors(vectors).items():
        specification, seed = parse_vector_name(name)
        if specification not in ICL_MODALITY:
            continue
        plain = specification == INSTRUCTION
        about = About(
            model=sidecar["model"],
            revision=revision,
            site=LAST_TOKEN if plain else EXEMPLAR_SITE,
            template=sidecar["template"],
            specification=specification,
            prompts=1 if plain else len(sidecar["rows"]["validation"]),
            dtype=sidecar["dtype"],
            licence=licence if ICL_MODALITY[specification] == "image" else None,
            task=sidecar["task"],
            seed=seed,
        )
        file = specification if seed is None else f"{specification}-{seed}"
        place = Path(sidecar["model"], sidecar["template"], sidecar["task"], f"{file}.safetensors")
        yield PublishedVector(place, TaskVector(tensor, about))


def data_files(items: str, task: str) -> list[dict[str, str]]:
    """Where the hub's `datasets` finds a task's splits below the folder ``items``."""
    return [{"split": split, "path": f"{items}/{task}/{split}.parquet"} for split in SPLITS]


def card(
    experiment: str, vectors: Sequence[PublishedVector], tables: Sequence[Path], items: str
) -> str:
    """The folder's README.md, as the hub shows it; ``items`` is the folder of the datasets."""
    tasks = dict.fromkeys(one.path.parent.name for one in vectors)
    configs = [{"config_name": ALL_TASKS, "default": True, "data_files": data_files(items, "*")}]
    configs += [{"config_name": task, "data_files": data_files(items, task)} for task in tasks]
    front = {
        "pretty_name": f"Task vectors of the experiment {experiment}",
        "tags": TAGS,
        "license": "other",
        "license_name": "see-attribution",
        "license_link": "ATTRIBUTION.html",
        "configs": configs,
    }
    models = {one.vector.about.model: one.vector.about.revision for one in vectors}
    first = vectors[0].path.as_posix()
    rows = "\n".join(f"| {name} | {revision} |" for name, revision in models.items())
    shown = "\n".join(f"- [{path.stem}](tables/{path.name})" for path in tables)
    return f"""---
{yaml.safe_dump(front, sort_keys=False)}---
# Task vectors of the experiment {experiment}

{len(vectors)} task vectors, made by taskvectors {version("taskvectors")}. Each file under
`vectors/` has one tensor, `{NAME}`, float32, (layers, width): row n is the residual stream after
layer n, counted from 0. Its site `{EXEMPLAR_SITE}` is the last exemplar's delimiter, averaged over
validation prompts; `{LAST_TOKEN}` is the last token of an instruction. The file's metadata say in
`about`, as JSON, of which model, revision, template, specification, task and seed the vector is,
over how many prompts, in which dtype the model ran, and under which licences the images are that
it was read from.

```python
import json
from safetensors import safe_open

with safe_open("vectors/{first}", framework="numpy") as file:
    vector, about = file.get_tensor("{NAME}"), json.loads(file.metadata()["about"])
```

With taskvectors, `open_vector("vectors/{first}")` gives a vector that `patch` takes.

| model | revision |
|---|---|
{rows}

Licences and authors of all images and models: `ATTRIBUTION.html`. The datasets lie in
`{items}/`: the library `datasets` has a configuration for each task and `{ALL_TASKS}`, and
`croissant.json` describes the files. The images are not here; the column `image` is an image's path
where it was read.

{shown}
"""


def arguments() -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--vectors", required=True, type=Path, nargs="+", help="of each task")
    parser.add_argument("--sidecars", required=True, type=Path, nargs="+", help="likewise")
    parser.add_argument("--models", required=True, type=Path, nargs="+", help="their folders")
    parser.add_argument("--tasks", required=True, type=Path, help="resources/tasks.yaml")
    parser.add_argument("--manifests", required=True, nargs="+", type=Path)
    parser.add_argument("--tables", required=True, type=Path, nargs="+", help="Markdown")
    parser.add_argument("--attribution", required=True, type=Path)
    parser.add_argument("--croissant", required=True, type=Path)
    parser.add_argument("--copies", required=True, type=Path, help="the folder that it describes")
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    return parse(parser)


def main() -> None:
    args = arguments()
    revisions = {folder.name: revision_of(folder) for folder in args.models}
    tasks = read_tasks(args.tasks)
    images = [image for path in args.manifests for image in read_manifest(path)]
    found: list[PublishedVector] = []
    for vectors, path in zip(args.vectors, args.sidecars, strict=True):
        sidecar = read_json(path)
        task, shown = tasks[sidecar["task"]], sidecar["rows"]["validation"]
        licence = licences(images, task.entity_set, shown)
        found += published(vectors, sidecar, revisions[sidecar["model"]], licence)
    with folder_written_whole(args.out) as folder:
        for one in track(found, len(found), f"publish {args.experiment}"):
            one.vector.save(folder / "vectors" / one.path)
        (folder / "tables").mkdir()
        for table in args.tables:
            shutil.copyfile(table, folder / "tables" / table.name)
        shutil.copyfile(args.attribution, folder / "ATTRIBUTION.html")
        shutil.copyfile(args.croissant, folder / "croissant.json")
        own = shutil.ignore_patterns(".*")  # Snakemake's time of the folder
        shutil.copytree(args.copies, folder / args.copies.name, ignore=own)
        text = card(args.experiment, found, args.tables, args.copies.name)
        write_text(folder / "README.md", text)
    log.info("%d vectors in %s", len(found), args.out)


if __name__ == "__main__":
    run_command(main)
