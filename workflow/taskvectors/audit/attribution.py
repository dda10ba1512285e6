"""``python -m taskvectors.audit.attribution``: the licence page that goes with the figures.

Everything on it comes from files: the manifests (author and licence of each image), the
datasets (which images are used), the models' own files, the data packages' metadata and the
fonts inside the PDFs.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from gguf import GGUFReader

from taskvectors.audit.markup import Markup, document, link, table
from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, read_jsonl, sha256, write_text
from taskvectors.base.packages import package_files
from taskvectors.study.manifest import CollectedImage, read_manifest

log = logging.getLogger("taskvectors")
FONT = re.compile(rb"/BaseFont /(?:[A-Z]{6}\+)?([A-Za-z0-9-]+)")
LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md")
HUB = "https://huggingface.co"


def shown_in(datasets: Iterable[Path]) -> dict[Path, list[str]]:
    """CollectedImage files to the tasks whose datasets (``<task>/<split>.jsonl``) have them."""
    tasks: dict[Path, dict[str, None]] = {}
    for dataset in datasets:
        for row in read_jsonl(dataset):
            tasks.setdefault(Path(row["image"]).resolve(), {})[row["task"]] = None
    return {path: list(names) for path, names in tasks.items()}


def image_table(images: Iterable[CollectedImage], tasks: dict[Path, list[str]]) -> str:
    """Title, author, licence and source of each image of the datasets.

    Raises `UserError` where a dataset has an image that no manifest describes.
    """
    used = [image for image in images if image.path in tasks]
    unknown = sorted(set(tasks) - {image.path for image in used})
    if unknown:
        raise UserError(
            f"the image {unknown[0]} is in a dataset but in no manifest, so its licence is not "
            "known; collect and curate again."
        )
    rows = [
        (
            image.title,
            image.author,
            link(image.licence_url, image.licence),
            link(image.url, image.source),
            image.revision,
            ", ".join(tasks[image.path]),
            "" if image.free else Markup('<span class="warning">not free: do not publish</span>'),
        )
        for image in used
    ]
    header = ("title", "author", "licence", "source", "revision", "task", "")
    return table(f"{len(used)} images of the datasets, figures and tables", header, rows)


def training_table(images: Iterable[CollectedImage], tasks: dict[Path, list[str]]) -> str:
    """Images that no dataset has: the vision tower was trained or tested on them."""
    others = [image for image in images if image.path not in tasks]
    counted = Counter((p.rendering, p.origin, p.licence, p.licence_url) for p in others)
    rows = [
        (rendering, str(count), origin, link(url, licence))
        for (rendering, origin, licence, url), count in counted.items()
    ]
    header = ("rendering", "images", "from", "licence")
    caption = "Images that only trained or tested a model's vision tower and are shown nowhere"
    return table(caption, header, rows)


def model_rows(folders: Iterable[Path]) -> list[tuple[str, str, str]]:
    """Name, source and licence of each model folder; a model made here is made of others."""
    rows = []
    for folder in folders:
        if not (folder / "source.json").is_file():
            made = "made in this experiment from the models and packages on this page"
            rows.append((folder.name, made, "those of its parts"))
            continue
        source = read_json(folder / "source.json")
        if "hub" in source:
            url = f"{HUB}/{source['hub']}/tree/{source['revision']}"
            name = f"{source['hub']} at {source['revision']}"
            rows.append((folder.name, link(url, name), link(url, "as its page says")))
        else:
            name = f"{source['package']} {source['version']}: {source['path']}"
            rows.append((folder.name, name, _gguf_licence(source)))
    return rows


def _gguf_licence(source: dict[str, str]) -> str:
    """The licence that a GGUF file states for itself, while it is the file that was used."""
    _, root, _ = package_files(source["package"])
    path = root / source["path"]
    if not path.is_file() or sha256(path) != source["sha256"]:
        return f"that of the package {source['package']} {source['version']} (not installed now)"
    field = GGUFReader(path).get_field("general.license")
    return str(field.contents()) if field else "not stated in the file"


def package_rows(names: Iterable[str]) -> list[tuple[str, str, str]]:
    """Name, version and own licence of each data package, and the page it names as its home."""
    rows = []
    for name in names:
        version, root, files = package_files(name)
        about = metadata.metadata(name)
        classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License")]
        stated = [about.get("License-Expression"), about.get("License"), *classifiers]
        texts = [root / f for f in files if Path(f).name in LICENCE_FILES]
        stated += [_first_line(text) for text in texts if text.is_file()]
        known = [text.rpartition(" :: ")[2] for text in stated if text and text != "UNKNOWN"]
        licence = next(iter(known), "not stated")
        rows.append((name, version, licence, link(f"https://pypi.org/project/{name}/", name)))
    return rows


def _first_line(path: Path) -> str:
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    return next((line for line in lines if line), "")


def font_rows(figures: Iterable[Path]) -> list[tuple[str, str]]:
    """The fonts inside the PDFs, and where matplotlib keeps their licence."""
    fonts = {name.decode() for path in figures for name in FONT.findall(path.read_bytes())}
    version, _, files = package_files("matplotlib")
    licences = {Path(f).name.removeprefix("LICENSE_"): f for f in files if "LICENSE_" in f}
    return [
        (
            font,
            next(
                (
                    f"{file} of matplotlib {version}"
                    for family, file in licences.items()
                    if font.upper().startswith(family)
                ),
                "not found in matplotlib",
            ),
        )
        for font in sorted(fonts)
    ]


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
    images = [image for path in args.manifests for image in read_manifest(path.resolve())]
    tasks = shown_in(args.datasets)
    lines = args.packages.read_text(encoding="utf-8").splitlines()
    packages = [line.partition("==")[0] for line in lines if line and not line.startswith("#")]
    header = ("package", "version", "licence of the package", "page")
    write_text(
        args.out,
        document(
            f"Licences: experiment {args.experiment}",
            "<p>This page goes with the figures, tables and datasets where they are published. "
            "Images were resized to 224 pixels wide, and those in figures are scaled.</p>",
            image_table(images, tasks),
            training_table(images, tasks),
            table("Models", ("model", "source", "licence"), model_rows(args.models)),
            table("Packages with images and models", header, package_rows(packages)),
            table("Fonts inside the figures", ("font", "licence"), font_rows(args.figures)),
        ),
    )
    log.info("%d images", len(tasks))


if __name__ == "__main__":
    run_command(main)
