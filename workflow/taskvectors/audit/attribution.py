"""``python -m taskvectors.audit.attribution``: the licence page that goes with the figures.

Everything on it comes from files: the manifests (author and licence of each image), the
datasets (which images are used), the models' own files, the data packages' metadata and the
fonts inside the PDFs.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from gguf import GGUFReader

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, read_jsonl, sha256, write_text
from taskvectors.base.packages import package_files
from taskvectors.base.pages import render_page
from taskvectors.study.manifest import CollectedImage, read_manifest

log = logging.getLogger("taskvectors")
FONT = re.compile(rb"/BaseFont /(?:[A-Z]{6}\+)?([A-Za-z0-9-]+)")
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md")
HUB = "https://huggingface.co"


@dataclass(frozen=True)
class UsedModel:
    """A model folder, what it was made from and under which licence; ``url`` is empty or the
    page that says both."""

    name: str
    source: str
    licence: str
    url: str = ""


def tasks_by_image(datasets: Iterable[Path]) -> dict[Path, list[str]]:
    """Images to the tasks whose datasets (``<task>/<split>.jsonl``) have them."""
    tasks: dict[Path, dict[str, None]] = {}
    for dataset in datasets:
        for row in read_jsonl(dataset):
            tasks.setdefault(Path(row["image"]).resolve(), {})[row["task"]] = None
    return {path: list(names) for path, names in tasks.items()}


def shown_images(
    images: Iterable[CollectedImage], tasks: dict[Path, list[str]]
) -> list[tuple[CollectedImage, list[str]]]:
    """The images of the datasets, each with its tasks.

    Raises `UserError` where a dataset has an image that no manifest describes.
    """
    used = [(image, image.path.resolve()) for image in images if image.path.resolve() in tasks]
    unknown = sorted(set(tasks) - {path for _, path in used})
    if unknown:
        raise UserError(
            f"the image {unknown[0]} is in a dataset but in no manifest, so its licence is not "
            "known; collect and curate again."
        )
    return [(image, tasks[path]) for image, path in used]


def unshown_images(
    images: Iterable[CollectedImage], tasks: dict[Path, list[str]]
) -> Counter[tuple[str, str, str, str]]:
    """How many images no dataset has, by rendering, origin, licence and the licence's page: the
    vision tower was trained or tested on them."""
    others = [image for image in images if image.path.resolve() not in tasks]
    return Counter((p.rendering, p.origin, p.licence, p.licence_url) for p in others)


def used_model(folder: Path) -> UsedModel:
    """What a model folder says of itself; a model made here is made of others."""
    if not (folder / "source.json").is_file():
        made = "made in this experiment from the models and packages on this page"
        return UsedModel(folder.name, made, "those of its parts")
    source = read_json(folder / "source.json")
    if "hub" in source:
        url = f"{HUB}/{source['hub']}/tree/{source['revision']}"
        name = f"{source['hub']} at {source['revision']}"
        return UsedModel(folder.name, name, "as its page says", url)
    if "folder" in source:
        name = f"the folder {source['folder']} with hash {source['revision']}"
        return UsedModel(folder.name, name, "that of whoever trained it")
    name = f"{source['package']} {source['version']}: {source['path']}"
    return UsedModel(folder.name, name, _gguf_licence(source))


def _gguf_licence(source: dict[str, str]) -> str:
    """The licence that a GGUF file states for itself, while it is the file that was used."""
    _, root, _ = package_files(source["package"])
    path = root / source["path"]
    if not path.is_file() or sha256(path) != source["sha256"]:
        return f"that of the package {source['package']} {source['version']} (not installed now)"
    field = GGUFReader(path).get_field("general.license")
    return str(field.contents()) if field else "not stated in the file"


def used_package(name: str) -> tuple[str, str, str]:
    """Name, version and own licence of a data package."""
    version, root, files = package_files(name)
    about = metadata.metadata(name)
    stated = [text for key in ("License-Expression", "License") for text in about.get_all(key, [])]
    stated += [c for c in about.get_all("Classifier", []) if c.startswith("License")]
    texts = [root / file for file in files if Path(file).name in LICENCE_FILES]
    stated += [_first_line(text) for text in texts if text.is_file()]
    known = [text.rpartition(" :: ")[2] for text in stated if text and text != "UNKNOWN"]
    return name, version, next(iter(known), "not stated")


def _first_line(path: Path) -> str:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return next((line for line in lines if line), "")


def used_fonts(figures: Iterable[Path]) -> dict[str, str]:
    """The fonts inside the PDFs, and where matplotlib keeps the licence of each."""
    fonts = {name.decode() for path in figures for name in FONT.findall(path.read_bytes())}
    version, _, files = package_files("matplotlib")
    licences = {Path(f).name.removeprefix("LICENSE_"): f for f in files if "LICENSE_" in f}
    where = {}
    for font in sorted(fonts):
        found = (file for family, file in licences.items() if font.upper().startswith(family))
        file = next(found, None)
        where[font] = f"{file} of matplotlib {version}" if file else "not found in matplotlib"
    return where


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--manifests", required=True, nargs="+", type=Path)
    parser.add_argument("--datasets", required=True, nargs="+", type=Path)
    parser.add_argument("--models", required=True, nargs="+", type=Path, help="model folders")
    parser.add_argument("--packages", required=True, type=Path, help="envs/data.txt")
    parser.add_argument("--figures", required=True, nargs="+", type=Path, help="PDFs")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    images = [image for path in args.manifests for image in read_manifest(path)]
    tasks = tasks_by_image(args.datasets)
    lines = args.packages.read_text(encoding="utf-8").splitlines()
    packages = [line.partition("==")[0] for line in lines if line and not line.startswith("#")]
    page = render_page(
        "audit/attribution.html.j2",
        experiment=args.experiment,
        images=shown_images(images, tasks),
        unshown=unshown_images(images, tasks),
        models=[used_model(folder) for folder in args.models],
        packages=[used_package(name) for name in packages],
        fonts=used_fonts(args.figures),
    )
    write_text(args.out, page)
    log.info("%d images", len(tasks))


if __name__ == "__main__":
    run_command(main)
