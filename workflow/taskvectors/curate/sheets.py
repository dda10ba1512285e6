"""``python -m taskvectors.curate.sheets``: all images of an entity set with their labels."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.images import open_rgb, save_png
from taskvectors.base.progress import track
from taskvectors.study.entities import Entity, read_entities
from taskvectors.study.manifest import read_manifest
from taskvectors.study.rows import entity_set_of

COLUMNS = 10
TILE = 140  # pixels a side of an image's place
LINE = 13  # pixels
MARGIN = 6  # pixels
LETTERS = 24  # that fit beside each other


def contact_sheet(entities: list[Entity], images: dict[str, Path]) -> Image.Image:
    """The sheet: entities that have an image, in the table's order, labels below each.

    Raises `UserError` where none has one.
    """
    shown = [entity for entity in entities if entity.name in images]
    if not shown:
        raise UserError(
            "no entity of the table has an image in the manifest, so the contact sheet would be "
            "empty; collect again."
        )
    lines = 1 + len(shown[0].labels)
    height = TILE + lines * LINE + 2 * MARGIN
    width = TILE + 2 * MARGIN
    rows = -(-len(shown) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(shown)) * width, rows * height), "white")
    for number, entity in enumerate(track(shown, len(shown), "contact sheet")):
        left, top = number % COLUMNS * width + MARGIN, number // COLUMNS * height + MARGIN
        _draw(sheet, entity, open_rgb(images[entity.name]), left, top)
    return sheet


def _draw(sheet: Image.Image, entity: Entity, image: Image.Image, left: int, top: int) -> None:
    image.thumbnail((TILE, TILE))
    sheet.paste(image, (left, top + TILE - image.height))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10)
    for number, text in enumerate([entity.name, *entity.labels.values()]):
        short = text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."
        colour = "black" if number == 0 else "dimgray"
        pen.text((left, top + TILE + 2 + number * LINE), short, fill=colour, font=font)


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--entities", required=True, type=Path)
    parser.add_argument("--manifest", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    entities = read_entities(args.entities)
    images = read_manifest(args.manifest, entity_set_of(args.entities))
    save_png(contact_sheet(entities, {image.entity: image.path for image in images}), args.out)


if __name__ == "__main__":
    run_command(main)
