"""What the MediaWiki API says about pages and files, up to 50 titles a call."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from taskvectors.base.errors import UserError
from taskvectors.collect.infobox import (
    image_in_infobox,
    infobox_labels,
    is_soft_redirect,
    plain_text,
)
from taskvectors.collect.wikipedia_cache import Article, WikiFile
from taskvectors.collect.wikipedia_client import Client, PageError

TITLES = 50  # a call; the API's limit
TITLE_BYTES = 5000  # a call, percent-encoded: servers refuse addresses over 8000 bytes
THUMBNAIL = 330  # pixels; one of the widths that are served (224 is not)
CONTINUATIONS = 60  # more than one for each title would be an endless answer
METADATA = (
    "Artist", "Attribution", "AttributionRequired", "Credit", "LicenseShortName", "LicenseUrl",
    "NonFree", "UsageTerms",
)  # fmt: skip


def batches(titles: Iterable[str]) -> Iterator[list[str]]:
    """Distinct titles, in order, in batches that one call can carry."""
    batch: list[str] = []
    size = 0
    for title in dict.fromkeys(titles):
        cost = len(quote(title)) + 3
        if batch and (len(batch) == TITLES or size + cost > TITLE_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(title)
        size += cost
    if batch:
        yield batch


def ask_articles(client: Client, titles: list[str]) -> list[Article]:
    """The pages of at most 50 titles, in that order, with their free lead images."""
    answer = _query(
        client,
        {
            "prop": "pageimages|revisions|pageprops",
            "ppprop": "disambiguation",
            "piprop": "name",
            "pilimit": TITLES,
            "rvprop": "ids|timestamp|content",
            "rvslots": "main",
            "rvsection": 0,
            "redirects": 1,
            "titles": _values(titles),
        },
    )
    return [_article(title, _page(client, title, answer)) for title in titles]


def ask_infobox(client: Client, article: Article) -> Article:
    """The article with the image of its rendered infobox, which may be non-free.

    The method is ``none`` where there is no image either, so that it is not asked again. A page
    that is gone since it was asked about is missing.
    """
    try:
        answer = client.api(
            {"action": "parse", "page": article.title, "prop": "text", "section": 0, "redirects": 1}
        )
    except PageError as error:
        return replace(article, missing=str(error))
    name = image_in_infobox(answer.get("parse", {}).get("text", ""))
    return replace(article, file=name or "", method="infobox" if name else "none")


def ask_files(client: Client, names: list[str]) -> list[WikiFile]:
    """What at most 50 files' pages say, in that order, with the address of a thumbnail."""
    answer = _query(
        client,
        {
            "prop": "imageinfo",
            "iiprop": "url|sha1|size|mime|extmetadata",
            "iiurlwidth": THUMBNAIL,
            "iiextmetadatafilter": "|".join(METADATA),
            "iiextmetadatalanguage": "en",
            "redirects": 1,
            "titles": _values(f"File:{name}" for name in names),
        },
    )
    return [_file(name, _page(client, f"File:{name}", answer).page) for name in names]


def _values(titles: Iterable[str]) -> str:
    """Titles as one value, parted by the API's other separator: a title may hold a bar."""
    return "".join(f"\x1f{title}" for title in titles)


def _query(client: Client, parameters: dict[str, Any]) -> dict[str, Any]:
    """A whole answer: continued until complete, its pages merged by title."""
    merged: dict[str, Any] = {"normalized": [], "redirects": [], "interwiki": [], "pages": {}}
    going_on: dict[str, Any] = {}
    for _ in range(CONTINUATIONS):
        answer = client.api({"action": "query", **parameters, **going_on})
        query = answer.get("query", {})
        for kind in ("normalized", "redirects", "interwiki"):
            merged[kind] += query.get(kind, [])
        for page in query.get("pages", []):
            merged["pages"].setdefault(page["title"], {}).update(page)
        if "continue" not in answer:
            return merged
        going_on = answer["continue"]
    raise UserError(
        f"{client.politeness.api_url} goes on after {CONTINUATIONS} parts of one answer; "
        "run the same command again later."
    )


@dataclass(frozen=True)
class Led:
    """Where a title leads: the ``page``, the titles on the ``way`` there, and the ``section`` of a
    page that it, or a redirect on the way, means (``#History``; empty for none)."""

    page: dict[str, Any]
    way: list[str]
    section: str


def _page(client: Client, title: str, answer: dict[str, Any]) -> Led:
    """The page that ``title`` leads to.

    Raises `UserError` where the answer passes over it: that says nothing, so nothing is kept.
    """
    steps = {step["from"]: step for step in answer["normalized"] + answer["redirects"]}
    way: list[str] = []
    asked = title
    section = title[len(title.partition("#")[0]) :]  # which normalising drops
    while title in steps and title not in way:
        way.append(title)
        if "tofragment" in steps[title]:
            section = section or f"#{steps[title]['tofragment']}"
        title = steps[title]["to"]
    elsewhere = [*way, *(link["title"] for link in answer["interwiki"])]
    if title not in answer["pages"] and title not in elsewhere:
        raise UserError(
            f"{client.politeness.api_url} says nothing of the page {asked!r} that it was asked "
            "about; run the same command again later, or correct the title."
        )
    return Led(answer["pages"].get(title, {"missing": True}), way, section)


def _article(asked: str, led: Led) -> Article:
    page = led.page
    if page.get("invalid"):
        return Article(asked, missing=f"not a possible title ({page.get('invalidreason', '')})")
    if page.get("missing") or "revisions" not in page:
        return Article(asked, redirects=led.way, missing="no such page")
    revision = page["revisions"][0]
    source = revision.get("slots", {}).get("main", {}).get("content", "")
    article = Article(
        asked=asked,
        title=page["title"],
        redirects=led.way,
        section=led.section,
        page_id=page["pageid"],
        revision=revision["revid"],
        revision_time=revision["timestamp"],
    )
    reason = _of_another(page, led.section, source)
    if reason:
        return replace(article, missing=f"{reason}; correct the title")
    name = page.get("pageimage", "").replace("_", " ")
    method = "pageimages" if name else ""
    return replace(article, file=name, method=method, labels=infobox_labels(source))


def _of_another(page: dict[str, Any], section: str, source: str) -> str:
    """Why a page's picture and infobox are not of what was asked for; empty where they are."""
    if section:
        return f"the title leads to the section {section!r} of the article {page['title']!r}"
    if page.get("ns"):
        return f"{page['title']!r} is no article"
    if "disambiguation" in page.get("pageprops", {}):
        return f"{page['title']!r} lists articles that share this name"
    if is_soft_redirect(source):
        return f"{page['title']!r} only points to another page"
    return ""


def _file(name: str, page: dict[str, Any]) -> WikiFile:
    """A file on Commons is `missing` here and has `imageinfo` all the same."""
    info: dict[str, Any] = page["imageinfo"][0] if "imageinfo" in page else {"filemissing": True}
    if "filemissing" in info:
        return WikiFile(name, missing=f"no such file: {name}")
    if "thumburl" not in info:
        return WikiFile(name, missing=f"the file has no thumbnail: {name}")
    said = info.get("extmetadata") or {}
    words = {key: plain_text(str(said.get(key, {}).get("value", ""))) for key in METADATA}
    return WikiFile(
        name=name,
        url=info["thumburl"],
        original_url=info["url"],
        page_url=info["descriptionurl"],
        sha1=info["sha1"],
        mime=info.get("mime", ""),
        width=info["width"],
        height=info["height"],
        author=words["Artist"] or words["Attribution"] or words["Credit"],
        licence=words["LicenseShortName"] or words["UsageTerms"],
        licence_url=_link(words["LicenseUrl"]),
        # Where the page does not say, the image is treated as the stricter case.
        attribution_required=words["AttributionRequired"].lower() not in ("false", "no", "0"),
        free=words["NonFree"].lower() not in ("true", "1", "yes"),
    )


def _link(url: str) -> str:
    url = f"https:{url}" if url.startswith("//") else url
    return url if url.startswith(("https://", "http://")) else ""
