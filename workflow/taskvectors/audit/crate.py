"""``python -m taskvectors.audit.crate``: an experiment as a Workflow Run RO-Crate.

The results folder itself becomes the crate (profile Provenance Run Crate 0.5, RO-Crate 1.1): its
``ro-crate-metadata.json`` describes the workflow, every job with its inputs and outputs, the
software and the licences, as the records have them. Nothing is copied but the workflow's own
files, to ``source/``; the folder can be zipped or uploaded as it is.
"""

from __future__ import annotations

import json
import logging
import mimetypes
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from taskvectors.audit.lineage import Lineage, Record, open_results
from taskvectors.audit.origins import is_manifest, read_images
from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_text
from taskvectors.base.schemas import read_yaml

log = logging.getLogger("taskvectors")
METADATA, SOURCE = "ro-crate-metadata.json", "source"
WORKFLOW = ("Snakefile", "config.yaml", "CITATION.cff", "workflow", "resources", "envs")
VERSION = "1.1"  # of RO-Crate, which the profiles below extend
PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/ro/wfrun/provenance/0.5": "Provenance Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
CROISSANT = "curate/croissant.json"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}
MEDIA_TYPES = {
    ".parquet": "application/vnd.apache.parquet",
    ".jsonl": "application/jsonlines",
    ".md": "text/markdown",
    ".yaml": "application/yaml",
    ".safetensors": "application/octet-stream",
    ".tex": "application/x-tex",
}


@dataclass
class Builder:
    """A crate under construction. ``files`` are the data entities by recorded path."""

    lineage: Lineage
    citation: dict[str, Any]
    crate: ROCrate = field(default_factory=lambda: ROCrate(version=VERSION))
    files: dict[str, Entity] = field(default_factory=dict)

    def add(self, identifier: str, kind: str, **properties: Any) -> Entity:
        """Add a contextual entity, once; later calls return the first."""
        known = self.crate.get(identifier)
        if known is not None:
            return known
        given = {key: single(v) for key, v in properties.items() if v not in (None, "", [])}
        entity = ContextEntity(self.crate, identifier, {"@type": kind, **given})
        return self.crate.add(entity)

    def data(self, path: str, place: str, **properties: Any) -> Entity:
        """Add a file or folder of the crate: recorded ``path``, relative ``place``."""
        folder = self.lineage.folder / place
        named = {"name": path, **properties}
        if folder.is_dir():
            entity = self.crate.add_dataset(dest_path=place, properties=named)
        else:
            kind = MEDIA_TYPES.get(Path(place).suffix) or mimetypes.guess_type(place)[0]
            named |= {"encodingFormat": kind} if kind else {}
            entity = self.crate.add_file(dest_path=place, properties=named)
        self.files[path] = entity
        return entity


def single(value: Any) -> Any:
    """The one element of a list of one: RO-Crate's own wish."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def build(lineage: Lineage, records: list[Record], agent: str | None) -> ROCrate:
    """The crate of ``records``. ``agent`` is the name of who ran the jobs, where it is known.

    Raises `UserError` where an output that a record names is gone or has another size.
    """
    citation = read_yaml(lineage.folder / SOURCE / "CITATION.cff")
    builder = Builder(lineage, citation)
    builder.crate.metadata.extra_terms = TERMS
    _outputs(builder, records)
    _sources(builder, records)
    _licences(builder, records)
    workflow = _workflow(builder, records)
    _actions(builder, records, workflow, agent)
    _root(builder, records)
    return builder.crate


def _outputs(builder: Builder, records: Iterable[Record]) -> None:
    lineage = builder.lineage
    for record in records:
        place = PurePosixPath(record.path).relative_to(lineage.prefix).as_posix()
        path = lineage.root / record.path
        if not path.exists() or (path.is_file() and path.stat().st_size != record.output["size"]):
            raise UserError(
                f"{record.path} is not what its record says; see `python -m taskvectors.audit "
                "verify`, and run `snakemake` before making a crate."
            )
        about = {"sha256": record.output["sha256"], "contentSize": str(record.output["size"])}
        if place == CROISSANT:
            croissant = "http://mlcommons.org/croissant/1.0"
            builder.add(croissant, "CreativeWork", name="Croissant", version="1.0")
            about |= {"conformsTo": {"@id": croissant}, "encodingFormat": "application/ld+json"}
        builder.data(record.path, place, **about)


def _sources(builder: Builder, records: Iterable[Record]) -> None:
    """The files of the repository that jobs read, as copied to ``source/``."""
    for record in records:
        for given in builder.lineage.sources(record):
            path = given["path"]
            if path in builder.files:
                continue
            place = f"{SOURCE}/{path}"
            if not (builder.lineage.folder / place).exists():
                raise UserError(f"{path}, which {record.path} was made from, is gone; restore it.")
            about = {"sha256": given["sha256"], "contentSize": str(given["size"])}
            builder.data(path, place, **about)


def _licences(builder: Builder, records: Iterable[Record]) -> None:
    """Licences and authors of the images, from their manifests."""
    for record in records:
        if not is_manifest(record.path):
            continue
        images = read_images(builder.lineage.root / record.path)
        licences = [
            builder.add(
                p.licence_url or f"#licence/{quote(p.licence)}", "CreativeWork", name=p.licence
            )
            for p in images
        ]
        # A page of Wikipedia names people; a package's art is a group's or a firm's.
        kinds = {p.author: "Person" if p.revision else "Organization" for p in images}
        authors = [builder.add(f"#author/{quote(a)}", kind, name=a) for a, kind in kinds.items()]
        folder = builder.files.get(f"{PurePosixPath(record.path).parent}/images")
        if folder is not None:
            folder["license"] = single(list(dict.fromkeys(licences)))
            folder["author"] = single(list(dict.fromkeys(authors)))


def _workflow(builder: Builder, records: list[Record]) -> Entity:
    """The Snakefile with one tool and one step per rule, and the packages that rules need."""
    versions = {name: version for r in records for name, version in r.packages["versions"].items()}
    packages = [
        builder.add(
            f"https://pypi.org/project/{quote(name)}/{quote(version)}/",
            "SoftwareApplication",
            name=name,
            softwareVersion=version,
            url=f"https://pypi.org/project/{quote(name)}/",
        )
        for name, version in sorted(versions.items())
    ]
    workflow = builder.crate.add_workflow(
        dest_path=f"{SOURCE}/Snakefile",
        main=True,
        lang="snakemake",
        lang_version=versions.get("snakemake"),
        properties={
            "name": builder.citation["title"],
            "version": str(builder.citation["version"]),
            "license": _licence(builder),
            "encodingFormat": "text/plain",
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        },
    )
    codes: dict[str, set[str]] = {}
    for record in records:
        codes.setdefault(record.rule, set()).add(record.code)
    for position, (rule, code) in enumerate(codes.items(), start=1):
        tool = builder.add(
            f"#tool/{quote(rule)}",
            "SoftwareApplication",
            name=rule,
            softwareVersion=", ".join(sorted(code)),
            softwareRequirements=packages,
        )
        step = builder.add(
            f"#step/{quote(rule)}", "HowToStep", position=str(position), workExample=tool
        )
        workflow.append_to("hasPart", tool)
        workflow.append_to("step", step)
    return workflow


def _actions(builder: Builder, records: list[Record], workflow: Entity, agent: str | None) -> None:
    """The run of the workflow, and one action per job with what it read and made."""
    person = builder.add("#agent", "Person", name=agent) if agent else None
    jobs: dict[Any, list[Record]] = {}
    for record in records:
        jobs.setdefault(record.job, []).append(record)
    controls, actions = [], []
    for (rule, wildcards), made in jobs.items():
        identifier = "/".join([rule, *(quote(value, safe="") for _, value in wildcards)])
        first = made[0]
        action = builder.add(
            f"#job/{identifier}",
            "CreateAction",
            name=" ".join([rule, *(value for _, value in wildcards)]),
            description=first.command,
            instrument=builder.crate.get(f"#tool/{quote(rule)}"),
            object=_entities(builder, (i["path"] for r in made for i in r.inputs)),
            result=[builder.files[record.path] for record in made],
            startTime=first.started,
            endTime=first.ended,
            agent=person,
        )
        step = builder.crate.get(f"#step/{quote(rule)}")
        controls.append(
            builder.add(f"#control/{identifier}", "ControlAction", instrument=step, object=action)
        )
        actions.append(action)
    run = builder.add(
        "#run",
        "CreateAction",
        name=f"Run of the experiment {builder.lineage.folder.name}",
        description=f"All jobs of {builder.lineage.prefix}",
        instrument=workflow,
        object=_entities(builder, (s["path"] for r in records for s in builder.lineage.sources(r))),
        result=[builder.files[record.path] for record in records],
        startTime=min(record.started for record in records),
        endTime=max(record.ended for record in records),
        agent=person,
    )
    engine = builder.add(
        "https://snakemake.github.io", "SoftwareApplication", name="Snakemake",
        softwareVersion=records[0].packages["versions"].get("snakemake"),
        url="https://snakemake.github.io",
    )  # fmt: skip
    builder.add(
        "#organise", "OrganizeAction", name="Orchestration by Snakemake", instrument=engine,
        object=controls, result=run, agent=person,
    )  # fmt: skip
    builder.crate.root_dataset["mentions"] = [run, *actions]


def _entities(builder: Builder, paths: Iterable[str]) -> list[Entity]:
    """The data entities of recorded paths; a file inside an output folder is that folder."""
    found = {}
    for path in paths:
        record = builder.lineage.record(path)
        known = record.path if record else path
        found[known] = builder.files[known]
    return list(found.values())


def _licence(builder: Builder) -> Entity:
    name = builder.citation["license"]
    return builder.add(f"https://spdx.org/licenses/{name}", "CreativeWork", name=name)


def _root(builder: Builder, records: list[Record]) -> None:
    """What the crate is, and the profiles that it follows."""
    root, lineage = builder.crate.root_dataset, builder.lineage
    root["name"] = f"{builder.citation['title']}: experiment {lineage.folder.name}"
    root["description"] = (
        f"Inputs, outputs and jobs of the experiment {lineage.folder.name}. Images keep their "
        "own licences: see the folders of images and the manifests beside them."
    )
    root["license"] = _licence(builder)
    root["datePublished"] = max(record.ended for record in records)
    root["author"] = single(
        [
            builder.add(f"#author/{quote(a['name'])}", "Organization", name=a["name"])
            for a in builder.citation["authors"]
        ]
    )
    root["conformsTo"] = [
        builder.add(url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for url, name in PROFILES.items()
    ]
    builder.data(SOURCE, SOURCE, description="The workflow when the crate was made")
    builder.data("records", "records", description="One record per output, as JSON")


def copy_source(lineage: Lineage, records: Iterable[Record]) -> None:
    """Copy the workflow's files and all that records name outside the results to ``source/``.

    Raises `UserError` where a recorded path leads out of the repository.
    """
    target = lineage.folder / SOURCE
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in WORKFLOW:
        found = lineage.root / name
        if found.is_dir():
            shutil.copytree(found, target / name, ignore=ignored, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, target / name)
    for record in records:
        for given in lineage.sources(record):
            found = (lineage.root / given["path"]).resolve()
            if not found.is_relative_to(lineage.root):
                raise UserError(
                    f"{given['path']} is outside the repository; it cannot be in a crate."
                )
            copy = target / given["path"]
            if found.is_file() and not copy.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(found, copy)


def recorded(lineage: Lineage, paths: Iterable[str]) -> list[Record]:
    """The records of ``paths``. Raises `UserError` naming a file that has none."""
    records = []
    for path in paths:
        record = lineage.record(path)
        if record is None:
            raise UserError(f"{path} has no record; make it again with `snakemake`.")
        records.append(record)
    return records


def git_name(root: Path) -> str | None:
    """The name that git would sign a commit with here; None where it knows none."""
    if shutil.which("git") is None:
        return None
    asked = subprocess.run(
        ["git", "config", "user.name"], cwd=root, text=True, capture_output=True, check=False
    )
    return asked.stdout.strip() or None


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--results", required=True, type=Path, help="results/<experiment>")
    parser.add_argument("--shown", required=True, nargs="+", help="all that the experiment shows")
    args = parse(parser)
    lineage = open_results(args.results)
    records = lineage.ancestry(recorded(lineage, args.shown))
    copy_source(lineage, records)
    crate = build(lineage, records, git_name(lineage.root))
    text = json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False)
    write_text(args.results / METADATA, text + "\n")
    log.info("%d entities", len(list(crate.get_entities())))


if __name__ == "__main__":
    run_command(main)
