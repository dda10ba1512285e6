"""``python -m taskvectors.collect``: images of entities, a manifest, the attribution."""

import argparse
import logging
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import sha256, write_text
from taskvectors.base.frames import write_frame
from taskvectors.base.images import RESIZES, Resize, resize_to_width, save_png
from taskvectors.base.packages import package_files
from taskvectors.base.progress import track
from taskvectors.collect import folder, wikipedia
from taskvectors.collect.packages import RENDERINGS, Rendering, read_image
from taskvectors.collect.wikipedia_cache import Cache
from taskvectors.collect.wikipedia_client import API_URL, Client, Politeness
from taskvectors.study.entities import Entity, read_entities

log = logging.getLogger("taskvectors")
COLUMNS = [
    *("entity_set", "entity", "file", "rendering", "package", "version", "path", "author"),
    *("licence", "licence_url", "width", "height", "source_sha256", "sha256"),
]


def collect(
    rendering: Rendering, entities: list[Entity], out: Path, resize: Resize = resize_to_width
) -> pd.DataFrame:
    """Write ``out/images/<slug>.png`` (224 px wide); return the manifest.

    An entity that the rendering lacks has no row.
    """
    version, root, files = package_files(rendering.package)
    (out / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for entity in track(entities, len(entities), f"collect {rendering.name}"):
        source = rendering.locate(entity, files)
        if source is None:
            continue
        image = read_image(root / source, resize)
        file = Path("images") / f"{entity.slug}.png"
        save_png(image, out / file)
        rows.append(
            {
                "entity_set": entity.entity_set,
                "entity": entity.name,
                "file": file.as_posix(),
                "rendering": rendering.name,
                "package": rendering.package,
                "version": version,
                "path": source,
                "author": rendering.author,
                "licence": rendering.licence,
                "licence_url": rendering.licence_url,
                "width": image.width,
                "height": image.height,
                "source_sha256": sha256(root / source),
                "sha256": sha256(out / file),
            }
        )
    if not rows:
        log.warning("the package %s has no image of these entities", rendering.package)
    return pd.DataFrame(rows, columns=COLUMNS)


def attribution(rendering: Rendering, manifest: pd.DataFrame) -> str:
    """The notice that goes with the images, as the licence asks for it."""
    version, _, _ = package_files(rendering.package)
    asked = "asks for this notice" if rendering.asks_for_attribution else "asks for no notice"
    return (
        f"# Images of the rendering {rendering.name}\n\n"
        f"{len(manifest)} images by {rendering.author}, from the package {rendering.package} "
        f"{version}, under {rendering.licence} ({rendering.licence_url}), "
        f"which {asked}.\n\nChanges: rasterised or resized to 224 pixels wide. "
        "Each image's source is a row of manifest.csv.\n"
    )


def report_missing(entities: Iterable[Entity], manifest: pd.DataFrame) -> None:
    """Log how many entities of each set have no image here."""
    drawn = set(zip(manifest["entity_set"], manifest["entity"], strict=True))
    missing = [entity for entity in entities if (entity.entity_set, entity.name) not in drawn]
    for entity_set in sorted({entity.entity_set for entity in missing}):
        names = [entity.name for entity in missing if entity.entity_set == entity_set]
        log.info("%s: no image of %d entities, e.g. %s", entity_set, len(names), names[0])


def arguments() -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument(
        "--rendering", required=True, choices=[*sorted(RENDERINGS), "folder", "wikipedia"]
    )
    parser.add_argument("--entities", required=True, nargs="+", type=Path)
    parser.add_argument("--resized", required=True, choices=sorted(RESIZES))
    parser.add_argument("--out", required=True, type=Path)
    only = parser.add_argument_group("only for the rendering wikipedia")
    only.add_argument("--contact", default="", help='who is collecting: "name <e-mail>"')
    only.add_argument("--api-url", default=API_URL)
    only.add_argument("--rate", type=float, default=1.0, help="requests a second, at most 3")
    only.add_argument("--cache", type=Path, default=Path("results/cache/wikipedia"))
    only.add_argument("--refresh", action="store_true", help="ask about every page again")
    return parse(parser)


def from_packages(args: argparse.Namespace, entities: list[Entity]) -> None:
    """Write the images of one package's rendering."""
    rendering = RENDERINGS[args.rendering]
    manifest = collect(rendering, entities, args.out, RESIZES[args.resized])
    report_missing(entities, manifest)
    write_text(args.out / "ATTRIBUTION.md", attribution(rendering, manifest))
    write_frame(args.out / "manifest.csv", manifest)


def from_wikipedia(args: argparse.Namespace, entities: list[Entity]) -> None:
    """Write Wikipedia's images, what is missing and why, and what the infoboxes say."""
    client = Client(Politeness(args.contact, args.api_url, args.rate))
    cache = Cache(args.cache, args.api_url)
    with cache.only_one():
        done = wikipedia.collect_wikipedia(
            client, cache, entities, args.out, args.refresh, RESIZES[args.resized]
        )
    manifest = pd.DataFrame(done.rows)
    report_missing(entities, manifest)
    write_text(args.out / "ATTRIBUTION.md", wikipedia.attribution(manifest))
    missing = pd.DataFrame(done.missing, columns=["entity_set", "entity", "reason"])
    write_frame(args.out / "missing.csv", missing)
    columns = ["entity_set", "entity", "label", "infobox", "title", "revision"]
    write_frame(args.out / "infoboxes.csv", pd.DataFrame(done.labels, columns=columns))
    write_frame(args.out / "manifest.csv", manifest)


def from_folder(args: argparse.Namespace) -> None:
    """Write the images of a folder of one's own, which its table names."""
    (table,) = args.entities
    manifest = folder.collect_folder(table, args.out, RESIZES[args.resized])
    write_text(args.out / "ATTRIBUTION.md", folder.attribution(table, manifest))
    write_frame(args.out / "manifest.csv", manifest)


def main() -> None:
    args = arguments()
    if args.rendering == "folder":
        return from_folder(args)
    entities = [entity for table in args.entities for entity in read_entities(table)]
    if args.rendering == "wikipedia":
        from_wikipedia(args, entities)
    else:
        from_packages(args, entities)


if __name__ == "__main__":
    run_command(main)
