"""Reading infoboxes: the image in the rendered page, the label in the page's source."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

NOTES = re.compile(r"<!--.*?-->|<ref[^>]*/>|<ref\b.*?</ref>", re.DOTALL)
SMALLEST = 60  # pixels; narrower images in an infobox are icons
# Which parameter of which infobox says what a label of ours says.
FIELDS = {"capital": ("capital",), "currency": ("currency",)}
SPECIES_BOXES = ("speciesbox", "subspeciesbox", "taxobox", "automatic taxobox", "hybridbox")


def image_in_infobox(html: str) -> str | None:
    """The file name (no namespace, spaces) of the first real image in the first infobox."""
    box = BeautifulSoup(html, "html.parser").select_one("table.infobox, .infobox")
    for image in box.select("img") if box else ():
        width = str(image.get("width", ""))
        link = image.find_parent("a")
        if not width.isdigit() or int(width) < SMALLEST or link is None:
            continue
        path = unquote(urlsplit(str(link.get("href", ""))).path)
        name = re.search(r"/(?:File|Image):(.+)$", path)
        if name:
            return name[1].replace("_", " ")
    return None


def plain_text(html: str) -> str:
    """HTML without its mark-up, on one line."""
    if "<" in html or "&" in html:
        html = BeautifulSoup(html, "html.parser").get_text(" ")
    return " ".join(html.split())


def infobox_labels(source: str) -> dict[str, str]:
    """What the infobox in a page's wikitext says: ``capital``, ``currency``, ``latin``."""
    labels: dict[str, str] = {}
    source = NOTES.sub(" ", source)
    for name, fields in _templates(source):
        if name.startswith("infobox country"):
            for label, keys in FIELDS.items():
                said = next((fields[key] for key in keys if fields.get(key)), "")
                if said:
                    labels.setdefault(label, clean(said))
        elif name in SPECIES_BOXES:
            said = fields.get("binomial") or fields.get("taxon") or ""
            if not said and fields.get("genus") and fields.get("species"):
                said = f"{fields['genus']} {fields['species']}"
            if said:
                labels.setdefault("latin", clean(said))
    return labels


def clean(wikitext: str) -> str:
    """Wikitext as plain text: references, comments and templates go, links keep their words."""
    text = NOTES.sub(" ", wikitext)
    # A list template's items are what the page shows; other templates are notes and flags.
    text = re.sub(
        r"\{\{\s*(?:plain ?list|unbulleted list|ubl|nowrap|hlist)\s*\|", " ", text, flags=re.I
    )
    while True:
        shorter = re.sub(r"\{\{[^{}]*\}\}", " ", text)
        if shorter == text:
            break
        text = shorter
    text = re.sub(r"\[\[(?:File|Image):[^\]]*\]\]", " ", text)
    text = re.sub(r"\[\[(?:[^\]|]*\|)?([^\]]*)\]\]", r"\1", text)
    text = re.sub(r"'{2,}|[{}*|]", " ", text)
    return plain_text(text)


def _templates(source: str) -> list[tuple[str, dict[str, str]]]:
    """All templates that stand outside other templates: lower-case name, named parameters."""
    found = []
    start = source.find("{{")
    while start >= 0:
        end = _closing(source, start)
        name, *parts = _split(source[start + 2 : end - 2])
        pairs = (part.split("=", 1) for part in parts if "=" in part)
        fields = {key.strip().lower(): value.strip() for key, value in pairs}
        found.append((name.strip().lower().replace("_", " "), fields))
        start = source.find("{{", end)
    return found


def _closing(source: str, start: int) -> int:
    """The place after the braces that close those at ``start``, or the source's end."""
    depth = 0
    for match in re.compile(r"\{\{|\}\}").finditer(source, start):
        depth += 1 if match[0] == "{{" else -1
        if depth == 0:
            return match.end()
    return len(source)


def _split(inside: str) -> list[str]:
    """Split at the bars that stand in no inner template or link."""
    parts, depth, last = [], 0, 0
    for match in re.finditer(r"\{\{|\[\[|\}\}|\]\]|\|", inside):
        if match[0] == "|" and depth == 0:
            parts.append(inside[last : match.start()])
            last = match.end()
        elif match[0] != "|":
            depth += 1 if match[0] in ("{{", "[[") else -1
    return [*parts, inside[last:]]
