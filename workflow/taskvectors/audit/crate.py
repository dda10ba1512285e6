"""``python -m taskvectors.audit.crate``: an experiment as a Workflow Run RO-Crate.

The results folder itself becomes the crate (profile Provenance Run Crate 0.5, RO-Crate 1.1): its
``ro-crate-metadata.json`` describes the workflow, every job with its inputs and outputs, the
software and the licences, as the records have them. Nothing is copied but the workflow's own
files, to ``source/``; the folder can be zipped or uploaded as it is.
"""

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
from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_text
from taskvectors.base.schemas import read_yaml
from taskvectors.study.manifest import is_manifest, read_manifest

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
    ".yaml": "application/yaml",
    ".safetensors": "application/octet-stream",
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
        given = {key: single(v) for key, v in properties.items() if v not in (None, "", [])}
        return self.crate.get(identifier) or self.crate.add(
            ContextEntity(self.crate, identifier, {"@type": kind, **given})
        )

    def named(self, prefix: str, kind: str, name: str, **properties: Any) -> Entity:
        """Add a contextual entity whose identifier is made of its name, once."""
        return self.add(f"{prefix}{quote(name)}", kind, name=name, **properties)

    def data(self, described: dict[str, Any], place: str, **properties: Any) -> None:
        """Add a file or folder of the crate as a record describes it; ``place`` is relative."""
        named = {"name": described["path"], **properties}
        if "sha256" in described:
            named |= {"sha256": described["sha256"], "contentSize": str(described["size"])}
        if (self.lineage.folder / place).is_dir():
            entity = self.crate.add_dataset(dest_path=place, properties=named)
        else:
            kind = MEDIA_TYPES.get(Path(place).suffix) or mimetypes.guess_type(place)[0]
            about = {"encodingFormat": kind} if kind else {}
            entity = self.crate.add_file(dest_path=place, properties={**about, **named})
        self.files[described["path"]] = entity

    def entities(self, given: Iterable[dict[str, Any]]) -> list[Entity]:
        """The data entities of recorded inputs; a file inside an output folder is that folder."""
        records = ((one["path"], self.lineage.record(one["path"])) for one in given)
        paths = dict.fromkeys(record.path if record else path for path, record in records)
        return [self.files[path] for path in paths]

    def licence(self) -> Entity:
        """The workflow's own."""
        return self.named("https://spdx.org/licenses/", "CreativeWork", self.citation["license"])


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
        place = record.path.removeprefix(f"{lineage.prefix}/")
        path = lineage.root / record.path
        if not path.exists() or (path.is_file() and path.stat().st_size != record.output["size"]):
            raise UserError(
                f"{record.path} is not what its record says; see `python -m taskvectors.audit "
                "verify`, and run `snakemake` before making a crate."
            )
        about = {}
        if place == CROISSANT:
            croissant = "http://mlcommons.org/croissant/1.0"
            form = builder.add(croissant, "CreativeWork", name="Croissant", version="1.0")
            about = {"conformsTo": form, "encodingFormat": "application/ld+json"}
        builder.data(record.output, place, **about)


def _sources(builder: Builder, records: Iterable[Record]) -> None:
    """The files of the repository that jobs read, as copied to ``source/``."""
    for record in records:
        for given in builder.lineage.sources(record):
            path, place = given["path"], f"{SOURCE}/{given['path']}"
            if not (builder.lineage.folder / place).exists():
                raise UserError(f"{path}, which {record.path} was made from, is gone; restore it.")
            if path not in builder.files:
                builder.data(given, place)


def _licences(builder: Builder, records: Iterable[Record]) -> None:
    """Licences and authors of the images, from their manifests."""
    for record in records:
        if not is_manifest(record.path):
            continue
        images = read_manifest(builder.lineage.root / record.path)
        licences = dict.fromkeys(
            builder.add(
                image.licence_url or f"#licence/{quote(image.licence)}",
                "CreativeWork",
                name=image.licence,
            )
            for image in images
            if image.licence
        )
        # A page of Wikipedia names people; a package's art is a group's or a firm's.
        kinds = {image.author: "Person" if image.revision else "Organization" for image in images}
        authors = [builder.named("#author/", kind, name) for name, kind in kinds.items() if name]
        folder = builder.files.get(f"{PurePosixPath(record.path).parent}/images")
        if folder is not None:
            said = {"license": single(list(licences)), "author": single(authors)}
            for key, value in said.items():
                if value:
                    folder[key] = value


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
            "license": builder.licence(),
            "encodingFormat": "text/plain",
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
        },
    )
    codes: dict[str, set[str]] = {}
    for record in records:
        codes.setdefault(record.rule, set()).add(record.code)
    for position, (rule, code) in enumerate(codes.items(), start=1):
        tool = builder.named(
            "#tool/",
            "SoftwareApplication",
            rule,
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
    actions = [_action(builder, made, person) for made in jobs.values()]
    controls = [
        builder.add(
            action.id.replace("#job/", "#control/"),
            "ControlAction",
            instrument=builder.crate.get(f"#step/{quote(rule)}"),
            object=action,
        )
        for (rule, _), action in zip(jobs, actions, strict=True)
    ]
    run = builder.add(
        "#run",
        "CreateAction",
        name=f"Run of the experiment {builder.lineage.folder.name}",
        description=f"All jobs of {builder.lineage.prefix}",
        instrument=workflow,
        object=builder.entities(s for r in records for s in builder.lineage.sources(r)),
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


def _action(builder: Builder, made: list[Record], person: Entity | None) -> Entity:
    """One job, from the records of what it made."""
    first = made[0]
    wildcards = [value for _, value in first.job[1]]
    return builder.add(
        "#job/" + "/".join([first.rule, *(quote(value, safe="") for value in wildcards)]),
        "CreateAction",
        name=" ".join([first.rule, *wildcards]),
        description=first.command,
        instrument=builder.crate.get(f"#tool/{quote(first.rule)}"),
        object=builder.entities(given for record in made for given in record.inputs),
        result=[builder.files[record.path] for record in made],
        startTime=first.started,
        endTime=first.ended,
        agent=person,
    )


def _root(builder: Builder, records: list[Record]) -> None:
    """What the crate is, and the profiles that it follows."""
    root, experiment = builder.crate.root_dataset, builder.lineage.folder.name
    root["name"] = f"{builder.citation['title']}: experiment {experiment}"
    root["description"] = (
        f"Inputs, outputs and jobs of the experiment {experiment}. Images keep their "
        "own licences: see the folders of images and the manifests beside them."
    )
    root["license"] = builder.licence()
    root["datePublished"] = max(record.ended for record in records)
    root["author"] = single(
        [builder.named("#author/", "Organization", a["name"]) for a in builder.citation["authors"]]
    )
    root["conformsTo"] = [
        builder.add(url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for url, name in PROFILES.items()
    ]
    source, kept = "The workflow when the crate was made", "One record per output, as JSON"
    builder.data({"path": SOURCE}, SOURCE, description=source)
    builder.data({"path": "records"}, "records", description=kept)


def copy_source(lineage: Lineage, records: Iterable[Record]) -> None:
    """Copy the workflow's files and all that records name outside the results to ``source/``."""
    target = lineage.folder / SOURCE
    target.mkdir(exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in WORKFLOW:
        found = lineage.root / name
        if found.is_dir():
            shutil.copytree(found, target / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(found, target / name)
    for path in {given["path"] for record in records for given in lineage.sources(record)}:
        found, copy = lineage.root / path, target / path
        if found.is_file() and not copy.exists():
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(found, copy)


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
    records = lineage.ancestry(lineage.recorded(path) for path in args.shown)
    copy_source(lineage, records)
    crate = build(lineage, records, git_name(lineage.root))
    text = json.dumps(crate.metadata.generate(), indent=1, ensure_ascii=False)
    write_text(args.results / METADATA, text + "\n")
    log.info("%d entities", len(list(crate.get_entities())))


if __name__ == "__main__":
    run_command(main)
