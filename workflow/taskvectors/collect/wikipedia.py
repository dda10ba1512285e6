"""The rendering `wikipedia`: the image that leads each entity's article."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.base.images import Resize, resize_to_width, save_png
from taskvectors.base.progress import track
from taskvectors.collect.wikipedia_api import ask_articles, ask_files, ask_infobox, batches
from taskvectors.collect.wikipedia_cache import Article, Cache, Download, Kept, WikiFile, changes
from taskvectors.collect.wikipedia_client import Client, RefusedError, TransientError
from taskvectors.collect.wikipedia_images import Images, decode
from taskvectors.study.entities import Entity

log = logging.getLogger("taskvectors")


@dataclass
class Collection:
    """What was collected: manifest rows, and the reason for each entity without an image."""

    rows: list[dict[str, object]] = field(default_factory=list)
    missing: list[dict[str, str]] = field(default_factory=list)
    labels: list[dict[str, object]] = field(default_factory=list)


def collect_wikipedia(
    client: Client,
    cache: Cache,
    entities: list[Entity],
    out: Path,
    refresh: bool = False,
    resize: Resize = resize_to_width,
) -> Collection:
    """Write ``out/images/<entity set>/<slug>.png`` (224 px wide) and say what is there.

    With ``refresh`` pages and files are asked about again, and what changed is logged.
    Raises `UserError` where the servers refuse or give no image of any entity, and at its end
    where they do not give some of them now: what is kept of the others is not asked again.
    """
    titles = [*(entity.title for entity in entities), *map(label_page, entities)]
    articles = _ask(client, cache, Article, titles, ask_articles, refresh)
    _read_infoboxes(client, cache, entities, articles)
    names = [entity.file or articles[entity.title].file for entity in entities]
    files = _ask(client, cache, WikiFile, filter(None, names), ask_files, refresh)
    images = Images(client, cache, again=refresh)
    done = Collection()
    passing: list[str] = []
    shown: dict[tuple[str, str], str] = {}
    wanted = zip(entities, _own_pages(entities, articles), names, strict=True)
    for entity, article, name in track(wanted, len(entities), "collect wikipedia"):
        done.labels += _labels(entity, articles[label_page(entity)])
        try:
            file = _file_of(entity, article, files.get(name))
            saved = _save(entity, *images.get(file), out, resize)
        except TransientError as error:
            passing.append(f"{entity.name}: {error}")
            continue
        except RefusedError as error:
            _miss(done, entity, str(error))
            continue
        done.rows.append({**_source(entity, article, file), **saved})
        if not file.free:
            log.warning("%s: %s is not free; do not publish it", entity.name, file.name)
        first = shown.setdefault((entity.entity_set, file.name), entity.name)
        if first != entity.name:
            log.warning("%s and %s are shown by one file, %s", first, entity.name, file.name)
    _check_complete(client, done, passing, len(entities))
    log.info("%d API calls, %d downloads", client.calls, client.downloads)
    return done


def _check_complete(client: Client, done: Collection, passing: list[str], wanted: int) -> None:
    """Raise `UserError` where images are missing that a later run may get, or where all are."""
    if passing:
        raise UserError(
            f"{len(passing)} of {wanted} images could not be had now ({passing[0]}); run the same "
            "command again, which fetches just those; where one fails time after time, name "
            "another file in its column `file`."
        )
    if not done.rows:
        raise UserError(
            f"{client.politeness.api_url} gave no image of any entity, e.g. none of "
            f"{done.missing[0]['entity']!r}: {done.missing[0]['reason']}; check the titles."
        )


def label_page(entity: Entity) -> str:
    """The page whose infobox states the entity's labels: a flag's country, else its own."""
    country = entity.title.removeprefix("Flag of ")
    return country[:1].upper() + country[1:]


def _ask(
    client: Client,
    cache: Cache,
    kind: type[Kept],
    keys: Iterable[str],
    ask: Callable[[Client, list[str]], list[Kept]],
    refresh: bool,
) -> dict[str, Kept]:
    """What is known by key: from the cache, else asked in batches and kept at once."""
    before = {key: cache.read(kind, key) for key in keys}
    known = {key: old for key, old in before.items() if old is not None and not refresh}
    for batch in batches([key for key in before if key not in known]):
        for key, new in zip(batch, ask(client, batch), strict=True):
            old = before[key]
            new = _with_infobox_of(old, new)
            for change in changes(old, new) if old is not None else ():
                log.info("changed since it was last asked: %s: %s", key, change)
            cache.write(new, key)
            known[key] = new
    return known


def _with_infobox_of(old: Kept | None, new: Kept) -> Kept:
    """The new state, with the old reading of the infobox where the revision is the same."""
    if not isinstance(old, Article) or not isinstance(new, Article) or new.file:
        return new
    return old if old.revision == new.revision and old.method in ("infobox", "none") else new


def _read_infoboxes(
    client: Client, cache: Cache, entities: list[Entity], articles: dict[str, Article]
) -> None:
    """Look into the infobox of each page without a lead image, once; amend ``articles``."""
    for entity in entities:
        article = articles[entity.title]
        if entity.file or article.missing or article.method:
            continue
        article = ask_infobox(client, article)
        cache.write(article, entity.title)
        articles[entity.title] = article


def _own_pages(entities: list[Entity], articles: dict[str, Article]) -> list[Article]:
    """The article of each entity. Where titles of one entity set lead to one page, it is missing
    for all but one: the first whose title is its own, or else the first."""
    found = [articles[entity.title] for entity in entities]
    owners: dict[tuple[str, int], str] = {}
    for at in sorted(range(len(found)), key=lambda at: bool(found[at].redirects)):
        entity, article = entities[at], found[at]
        if entity.file or article.missing:
            continue
        owner = owners.setdefault((entity.entity_set, article.page_id), entity.name)
        if owner != entity.name:
            reason = f"{article.title!r} is the article of {owner!r}, too; correct one's title"
            found[at] = replace(article, missing=reason)
    return found


def _file_of(entity: Entity, article: Article, file: WikiFile | None) -> WikiFile:
    """The image file to fetch. Raises `RefusedError` where there is none."""
    named = entity.file and article.page_id  # whatever page it is, the curator has the last word
    if article.missing and not named:
        raise RefusedError(article.missing)
    if file is None:
        raise RefusedError("the page shows no image; name one in the column `file`")
    if file.missing:
        raise RefusedError(file.missing)
    return file


def _save(
    entity: Entity, download: Download, body: bytes, out: Path, resize: Resize
) -> dict[str, object]:
    """Write the image, resized; where it is and its size. Raises `RefusedError`."""
    image = decode(body, resize=resize)
    place = Path("images") / entity.entity_set / f"{entity.slug}.png"
    save_png(image, out / place)
    return {
        "file": place.as_posix(),
        "retrieved": download.retrieved,
        "width": image.width,
        "height": image.height,
        "source_sha256": download.sha256,
        "sha256": sha256(out / place),
    }


def _source(entity: Entity, article: Article, file: WikiFile) -> dict[str, object]:
    """Where an image is from and what its licence asks for."""
    return {
        "entity_set": entity.entity_set,
        "entity": entity.name,
        "rendering": "wikipedia",
        "asked_title": entity.title,
        "title": article.title,
        "redirects": " -> ".join(article.redirects),
        "page_id": article.page_id,
        "revision": article.revision,
        "revision_time": article.revision_time,
        "found_by": "override" if entity.file else article.method,
        "wiki_file": file.name,
        "file_page": file.page_url,
        "file_url": file.url,
        "original_sha1": file.sha1,
        "original_width": file.width,
        "original_height": file.height,
        "author": file.author or "not stated",
        "licence": file.licence or "not stated",
        "licence_url": file.licence_url,
        "attribution_required": file.attribution_required,
        "free": file.free,
    }


def _labels(entity: Entity, article: Article) -> list[dict[str, object]]:
    return [
        {
            "entity_set": entity.entity_set,
            "entity": entity.name,
            "label": label,
            "infobox": article.labels.get(label, ""),
            "title": article.title,
            "revision": article.revision,
        }
        for label in ("capital", "currency", "latin")
        if label in entity.labels
    ]


def _miss(done: Collection, entity: Entity, reason: str) -> None:
    """Note why an entity has no image."""
    log.warning("no image of %s (%s): %s", entity.name, entity.title, reason)
    done.missing.append({"entity_set": entity.entity_set, "entity": entity.name, "reason": reason})


def attribution(manifest: pd.DataFrame) -> str:
    """One line per image: file, author, licence; those that are not free are marked."""
    lines = [
        "# Images from Wikipedia\n",
        f"{len(manifest)} images, each under the licence stated here. Changes: resized to 224 "
        "pixels wide. Revision, time and hashes of each are a row of manifest.csv.\n",
    ]
    for row in manifest.to_dict("records"):
        terms = (
            f"[{row['licence']}]({row['licence_url']})" if row["licence_url"] else row["licence"]
        )
        note = "" if row["free"] else " **Not free: do not publish.**"
        lines.append(
            f"- {row['entity']}: [{row['wiki_file']}]({row['file_page']}), "
            f"{row['author']}, {terms}.{note}"
        )
    return "\n".join(lines) + "\n"
