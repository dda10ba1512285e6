"""Images in a folder of one's own: nothing is fetched, and nothing guessed of what is not said."""

from pathlib import Path

import pandas as pd
from PIL import Image

from taskvectors.base.files import folder_written_whole, sha256
from taskvectors.base.images import FAULTS, Resize, decoded, resize_to_width, save_png
from taskvectors.base.progress import track
from taskvectors.study.entities import slugify
from taskvectors.study.manifest import NOT_STATED
from taskvectors.study.own_images import OwnImage, raise_all, read_own_images
from taskvectors.study.rows import entity_set_of

MOST_SIDES = 20  # how many times as long as the other a side may be
COLUMNS = [
    *("entity_set", "entity", "file", "rendering", "folder", "path", "author", "licence"),
    *("source", "width", "height", "source_sha256", "sha256"),
]


def collect_folder(table: Path, out: Path, resize: Resize = resize_to_width) -> pd.DataFrame:
    """Write ``out/images/<slug>.png`` (224 px wide, upright); return the manifest.

    Raises `UserError` naming each file that is no usable image; then nothing is written.
    """
    images, rows, faults = read_own_images(table), [], []
    with folder_written_whole(out / "images") as folder:
        for one in track(images, len(images), f"collect {table.parent}"):
            try:
                image = read_own_image(one.path, resize)
            except FAULTS as error:
                faults.append(f"row {one.row}: {one.file} is no usable image ({error})")
                continue
            file = folder / f"{slugify(one.entity)}.png"
            save_png(image, file)
            rows.append(_row(table, one, image, file))
        raise_all(table, faults, "mend these images, or take their rows out")
    return pd.DataFrame(rows, columns=COLUMNS)


def read_own_image(path: Path, resize: Resize) -> Image.Image:
    """One image, 224 pixels wide; of several frames, the first.

    Raises one of `FAULTS` where it cannot be decoded, or is far longer than wide or wider than
    long, which no model sees.
    """
    image = decoded(path)
    if max(image.size) > MOST_SIDES * min(image.size):
        width, height = image.size
        raise ValueError(f"{width} x {height}, one side over {MOST_SIDES} times the other")
    return resize(image)


def _row(table: Path, one: OwnImage, image: Image.Image, file: Path) -> dict[str, str | int]:
    return {
        "entity_set": entity_set_of(table),
        "entity": one.entity,
        "file": f"images/{file.name}",
        "rendering": "folder",
        "folder": table.parent.as_posix(),
        "path": one.file,
        "author": one.author,
        "licence": one.licence,
        "source": one.source,
        "width": image.width,
        "height": image.height,
        "source_sha256": sha256(one.path),
        "sha256": sha256(file),
    }


def attribution(table: Path, manifest: pd.DataFrame) -> str:
    """Who made each image and what may be done with it, as far as the table says."""
    lines = [
        f"- {row['entity']} (`{row['path']}`): author {row['author'] or NOT_STATED}, "
        f"licence {row['licence'] or NOT_STATED}, source {row['source'] or NOT_STATED}\n"
        for row in manifest.to_dict("records")
    ]
    unknown = sum(manifest["licence"] == "")
    warning = f" Of {unknown} the licence is not stated: ask before publishing them." * (
        unknown > 0
    )
    return (
        f"# Images of {table.parent}\n\n{len(manifest)} images.{warning}\n\nChanges: turned "
        "upright and resized to 224 pixels wide. Each image's file is a row of manifest.csv.\n\n"
        + "".join(lines)
    )
