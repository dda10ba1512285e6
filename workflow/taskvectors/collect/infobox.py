"""Reading infoboxes: the image in the rendered page, the label in the page's source."""

import re
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup
from mwparserfromhell import parse
from mwparserfromhell.nodes import Comment, Node, Tag, Template, Wikilink
from mwparserfromhell.wikicode import Wikicode

SMALLEST = 60  # pixels; narrower images in an infobox are icons
COUNTRY_LABELS = ("capital", "currency")
SPECIES_BOXES = ("speciesbox", "subspeciesbox", "taxobox", "automatic taxobox", "hybridbox")
# Not those that end in "redirect" alone, which tell who leads here.
SOFT_REDIRECT = re.compile(r"(soft|interwiki|wiktionary|wikt|wikisource|wikispecies) ?redirect")
# Their items are what the page shows; other templates in a value are notes and flags.
LISTS = ("plainlist", "plain list", "unbulleted list", "ubl", "nowrap", "hlist")


def image_in_infobox(html: str) -> str | None:
    """The file name (no namespace, spaces) of the first real image in the first infobox."""
    box = BeautifulSoup(html, "html.parser").select_one("table.infobox, .infobox")
    for image in box.select("img") if box else ():
        width = str(image.get("width", ""))
        link = image.find_parent("a")
        if not width.isdigit() or int(width) < SMALLEST or link is None:
            continue
        name = re.search(r"/(?:File|Image):(.+)$", _path(str(link.get("href", ""))))
        if name:
            return name[1].replace("_", " ")
    return None


def _path(address: str) -> str:
    """The path of an address, decoded; empty where it is none."""
    try:
        return unquote(urlsplit(address).path)
    except ValueError:
        return ""


def plain_text(html: str) -> str:
    """HTML without its mark-up, on one line."""
    if "<" in html or "&" in html:
        html = BeautifulSoup(html, "html.parser").get_text(" ")
    return " ".join(html.split())


def infobox_labels(source: str) -> dict[str, str]:
    """What the infobox in a page's wikitext says: ``capital``, ``currency``, ``latin``.

    Where several infoboxes state a label, the first one counts.
    """
    labels: dict[str, str] = {}
    for template in parse(source).filter_templates(recursive=Wikicode.RECURSE_OTHERS):
        name = _name(template)
        if name.startswith("infobox country"):
            said = _parameters(template)
            found = {label: said.get(label, "") for label in COUNTRY_LABELS}
        elif name in SPECIES_BOXES:
            said = _parameters(template)
            genus, species = said.get("genus"), said.get("species")
            both = f"{genus} {species}" if genus and species else ""
            found = {"latin": said.get("binomial") or said.get("taxon") or both}
        else:
            continue
        labels = {label: words for label, words in found.items() if words} | labels
    return labels


def is_soft_redirect(source: str) -> bool:
    """Whether a page's wikitext points its readers to another page, which no software follows."""
    return any(SOFT_REDIRECT.fullmatch(_name(one)) for one in parse(source).filter_templates())


def clean(wikitext: str | Wikicode) -> str:
    """Wikitext as plain text: references, comments and templates go, links keep their words."""
    code = parse(wikitext)
    # From the last to the first, so that what is inside a list is done before the list.
    for node in reversed(code.filter()):
        if isinstance(node, Template) and _name(node) in LISTS:
            items = (item.value for item in node.params if str(item.name).strip().isdigit())
            code.replace(node, " ".join(map(str, items)))
        elif _is_note(node):
            code.replace(node, " ")
    # Marks that were no mark-up where they stood: an indented bullet, quotes without a pair.
    return plain_text(re.sub(r"'{2,}|[{}*|]", " ", code.strip_code(normalize=False)))


def _is_note(node: Node) -> bool:
    """Whether a node is no words of the value: what stands there is replaced by a space."""
    if isinstance(node, Wikilink):
        return str(node.title).strip().lower().startswith(("file:", "image:"))
    if isinstance(node, Tag):
        return str(node.tag).strip().lower() in ("ref", "br")
    return isinstance(node, Comment | Template)


def _name(template: Template) -> str:
    return template.name.strip_code().strip().lower().replace("_", " ")


def _parameters(template: Template) -> dict[str, str]:
    """A template's parameters as plain text, by their names in lower case."""
    return {str(item.name).strip().lower(): clean(item.value) for item in template.params}
