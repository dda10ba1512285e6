"""The test wiki's pages and images."""

from __future__ import annotations

from pathlib import Path
from xml.sax.saxutils import escape

from PIL import Image

FILLERS = 120  # pages, so that one call is not enough
FILLER_IMAGES = 12  # that they show in turn
CC_BY_SA = "https://creativecommons.org/licenses/by-sa/3.0/"


def box(file: str, width: int = 220) -> str:
    """An infobox as a rendered page of Wikipedia has it."""
    return f'{{| class="infobox"\n| class="infobox-image" | [[File:{file}|{width}px]]\n|}}\n'


PAGES = {
    "Flag of France": box("Flag of France.svg", 250) + "The '''flag of France'''.",
    "France": "{{Infobox country\n| capital = [[Paris]]\n| currency = [[Euro]] "
    "([[Euro sign|€]])<ref>One.</ref>\n}}\n'''France'''.",
    "Flag of Ivory Coast": box("Flag of Côte d'Ivoire.svg", 250) + "The flag.",
    "Flag of Côte d'Ivoire": "#REDIRECT [[Flag of Ivory Coast]]",
    "Ivory Coast": "{{Infobox country\n| capital = [[Abidjan]]\n| currency = "
    "{{plainlist|\n* [[West African CFA franc]]\n}}\n}}\n'''Ivory Coast'''.",
    "Okapi": "{{Speciesbox|genus=Okapia|species=johnstoni}}\n[[File:Tiny icon.png|20px]]\n"
    + box("Okapi.png")
    + "The okapi.\n\n== Gallery ==\n[[File:Red panda.jpg|thumb]]",
    "Red panda": "{{Taxobox|binomial=''Ailurus fulgens''}}\n" + box("Red panda.jpg") + "It.",
    "Lesser panda": "#REDIRECT [[Red panda#Etymology]]",
    "Corp": box("Nonfree logo.png") + "A page whose lead image is not free.",
    "Below the lead": "No image here.\n\n== Later ==\n[[File:Okapi.png|thumb]]",
    "Nothing": "No image at all.",
    "Dangling": box("No such file.png") + "The file does not exist.",
    "Changing": box("Okapi.png") + "Edited by a test.",
    "Small": box("Small.png") + "Its original is narrower than a thumbnail.",
} | {
    f"Filler {number:03d}": box(f"Filler {number % FILLER_IMAGES:02d}.png") + "Filler."
    for number in range(FILLERS)
}
TEMPLATES = ("Infobox country", "Speciesbox", "Taxobox", "Plainlist")


def make(folder: Path) -> None:
    """Write ``pages.xml`` and ``images/`` with a description beside each image."""
    images = folder / "images"
    images.mkdir(parents=True, exist_ok=True)
    _flag(images / "Flag of France.svg", ["#002395", "#fff", "#ed2939"])
    _flag(images / "Flag of Côte d'Ivoire.svg", ["#f77f00", "#fff", "#009e60"])
    _image(images / "Okapi.png", (800, 600), "sienna")
    _image(images / "Red panda.jpg", (1200, 900), "chocolate")
    _image(images / "Nonfree logo.png", (400, 400), "navy")
    _image(images / "Tiny icon.png", (40, 40), "black")
    _image(images / "Small.png", (300, 200), "teal")
    for number in range(FILLER_IMAGES):
        _image(images / f"Filler {number:02d}.png", (500, 300), f"hsl({30 * number}, 80%, 50%)")
    artist = '<a href="//commons.wikimedia.org/wiki/User:Raul">Raul &amp; <b>Søby</b></a>'
    ours = {"Artist": artist, "LicenseShortName": "CC BY-SA 3.0", "LicenseUrl": CC_BY_SA}
    for file in images.iterdir():
        about = {**ours, "AttributionRequired": "true"}
        if file.suffix == ".svg":
            about = {"Artist": "SKopp", "LicenseShortName": "Public domain"}
            about["AttributionRequired"] = "false"
        elif file.stem.startswith("Nonfree"):
            about = {"Artist": "Corp", "LicenseShortName": "Fair use", "NonFree": "true"}
        lines = "".join(f"|{key}={value}\n" for key, value in about.items())
        file.with_suffix(".txt").write_text(lines, encoding="utf-8")
    (folder / "pages.xml").write_text(_export(), encoding="utf-8")


def _flag(path: Path, colours: list[str]) -> None:
    bars = "".join(
        f'<rect x="{300 * i}" width="300" height="600" fill="{c}"/>' for i, c in enumerate(colours)
    )
    size = 'width="900" height="600" viewBox="0 0 900 600"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{bars}</svg>\n')


def _image(path: Path, size: tuple[int, int], colour: str) -> None:
    image = Image.new("RGB", size, colour)
    # Some texture, so that a cut-off file is cut off within its pixels.
    image.paste(Image.effect_noise((size[0] // 2, size[1] // 2), 60).convert("RGB"), (0, 0))
    image.save(path)


def _export() -> str:
    pages = dict(PAGES)
    pages |= {f"Template:{name}": "<includeonly></includeonly>" for name in TEMPLATES}
    parts = ['<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11">']
    for number, (title, text) in enumerate(pages.items(), start=1):
        space = 10 if title.startswith("Template:") else 0
        parts.append(
            f"<page><title>{escape(title)}</title><ns>{space}</ns><id>{number}</id><revision>"
            f"<id>{number}</id><timestamp>2021-03-04T05:06:07Z</timestamp><contributor>"
            "<username>Importer</username></contributor><model>wikitext</model>"
            f'<format>text/x-wiki</format><text xml:space="preserve">{escape(text)}</text>'
            "</revision></page>"
        )
    return "\n".join([*parts, "</mediawiki>"])
