"""What the guide docs/your-own-data.md has people write and run, and images for its table."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw

GUIDE = Path(__file__).resolve().parents[2] / "docs/your-own-data.md"
FILE = re.compile(r"^(Write|Add to) `([^`]+)`:\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files() -> list[tuple[str, str, str]]:
    """What the guide has people write: how, where and what."""
    return FILE.findall(GUIDE.read_text(encoding="utf-8"))


def commands() -> list[list[str]]:
    """The guide's commands, split into words."""
    return [shlex.split(one) for one in COMMANDS.findall(GUIDE.read_text(encoding="utf-8"))]


def draw(path: Path, number: int) -> None:
    """An image of an animal, more or less: no two alike."""
    image = Image.new("RGB", (320, 200 + 10 * number), (255 - 15 * number, 90, 15 * number))
    pen = ImageDraw.Draw(image)
    pen.ellipse((20 * number, 30, 20 * number + 80, 150), fill=(20 * number, 200, 60))
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def write_files(folder: Path) -> pd.DataFrame:
    """Write the guide's files, and an image for each row of its table."""
    for how, name, text in files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a" if how == "Add to" else "w", encoding="utf-8") as handle:
            handle.write(text)
    table = pd.read_csv(folder / "my/animals/metadata.csv", keep_default_na=False)
    for number, file in enumerate(table["file"]):
        draw(folder / "my/animals" / file, number)
    return table
