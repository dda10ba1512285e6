"""The parts of collecting from Wikipedia that need no server."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.collect.infobox import clean, image_in_infobox, infobox_labels
from taskvectors.collect.wikipedia import collect_wikipedia, label_page
from taskvectors.collect.wikipedia_api import TITLES, ask_articles, batches
from taskvectors.collect.wikipedia_cache import Article, Cache, Download, WikiFile
from taskvectors.collect.wikipedia_client import (
    IMAGE_HOSTS,
    Client,
    Politeness,
    RefusedError,
    Reply,
    retry_after,
)
from taskvectors.collect.wikipedia_images import decode
from taskvectors.study.entities import Entity, read_entities

CONTACT = "Ann <ann@example.org>"
LOCAL = "http://127.0.0.1:8099/w/api.php"


@pytest.mark.parametrize("contact", ["", "  ", "Ann", "ann at example", "a@b.org\nX-Evil: 1"])
def test_a_contact_that_names_nobody_is_refused(contact):
    with pytest.raises(UserError, match=r"set wikipedia\.contact in the configuration"):
        Politeness(contact)


def test_the_user_agent_names_tool_operator_and_library():
    agent = Politeness("Zoë <zoe@example.org>").user_agent
    assert agent.startswith("taskvectors-collect/0.1 (Zo? <zoe@example.org>) python-requests/")


@pytest.mark.parametrize("rate", [0, -1, 3.5, float("nan")])
def test_an_impolite_rate_is_refused_for_wikipedia(rate):
    with pytest.raises(UserError, match="at most 3 requests a second"):
        Politeness(CONTACT, rate=rate)


@pytest.mark.parametrize(
    "url",
    [
        "http://en.wikipedia.org/w/api.php",
        "https://en.wikipedia.org.example.org/w/api.php",
        "https://example.org/w/api.php",
        "http://localhost.example.org/w/api.php",
        "http://10.0.0.1/w/api.php",
        "file:///etc/passwd",
    ],
)
def test_only_wikipedia_or_a_loopback_address_is_asked(url):
    with pytest.raises(UserError, match=r"wikipedia\.api_url is"):
        Politeness(CONTACT, url)


@pytest.mark.parametrize(
    ("url", "real", "local"),
    [
        ("https://upload.wikimedia.org/x/330px-a.png", True, True),
        ("https://thumb.wikimedia.org/x/330px-a.png", True, True),
        ("https://upload.wikimedia.org:443/a.png", True, True),
        ("http://upload.wikimedia.org/a.png", False, False),
        ("https://upload.wikimedia.org:8443/a.png", False, False),
        ("https://upload.wikimedia.org:x/a.png", False, False),
        ("https://me@upload.wikimedia.org/a.png", False, False),
        ("https://upload.wikimedia.org@example.org/a.png", False, False),
        ("https://en.wikipedia.org/a.png", False, False),
        ("https://example.org/upload.wikimedia.org/a.png", False, False),
        ("http://127.0.0.1:8099/upload/a.png", False, True),
        ("http://127.0.0.1:22/upload/a.png", False, False),
        ("http://169.254.169.254/latest", False, False),
        ("file:///etc/passwd", False, False),
        ("http://[", False, False),
    ],
)
def test_images_come_from_the_two_upload_hosts_only(url, real, local):
    assert Politeness(CONTACT).allows(url, IMAGE_HOSTS) is real
    assert Politeness(CONTACT, LOCAL).allows(url, IMAGE_HOSTS) is local


def test_a_refused_address_is_not_asked(monkeypatch):
    monkeypatch.setattr(requests.Session, "send", lambda *a, **k: pytest.fail("it was asked"))
    with pytest.raises(RefusedError, match=r"https://example\.org is not allowed"):
        Client(Politeness(CONTACT)).image("https://example.org/a.png", lambda reply: None)


def reply(**headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply("", 429, requests.structures.CaseInsensitiveDict(named), b"", 0.0)


def test_retry_after_is_a_number_a_date_or_nothing():
    assert retry_after(reply(Retry_After="7")) == 7
    date = formatdate(time.time() + 90, usegmt=True)
    assert retry_after(reply(Retry_After=date)) == pytest.approx(90, abs=2)
    assert retry_after(reply(Retry_After=formatdate(0, usegmt=True))) == 0
    assert retry_after(reply(Retry_After="soon")) is None
    assert retry_after(reply()) is None


@pytest.fixture
def served() -> Iterator[tuple[list, str]]:
    """Answers (status, headers, body) that a server on this machine gives one after another, and
    the address of its API."""
    answers: list[tuple[int, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers.pop(0)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *about: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield answers, f"http://127.0.0.1:{server.server_port}/w/api.php"
        server.shutdown()


def page(title: str, source: str = "Text.", **more: object) -> dict:
    """A page as the API describes it, with a lead image."""
    about = {"pageid": 1 + sum(map(ord, title)), "title": title, "pageimage": "A.png"}
    revision = {"revid": 7, "timestamp": "t", "slots": {"main": {"content": source}}}
    return {**about, "revisions": [revision], **more}


def asked(served: tuple[list, str], title: str, *pages: dict, **steps: list[dict]) -> Article:
    """The article that a title leads to, where the API answers so."""
    answers, url = served
    query = {"pages": list(pages), **steps}
    answers.append((200, {}, json.dumps({"batchcomplete": True, "query": query}).encode()))
    (article,) = ask_articles(Client(Politeness(CONTACT, url, rate=100)), [title])
    return article


COUNTRY = "{{Infobox country|capital=[[Paris]]}}"


def test_a_redirect_is_followed_and_one_to_a_section_is_missing(served):
    to = {"from": "Land", "to": "Other land"}
    whole = asked(served, "Land", page("Other land", COUNTRY), redirects=[to])
    assert (whole.title, whole.redirects, whole.missing) == ("Other land", ["Land"], "")
    assert (whole.file, whole.labels) == ("A.png", {"capital": "Paris"})
    steps = [{**to, "tofragment": "History"}]
    part = asked(served, "Land", page("Other land", COUNTRY), redirects=steps)
    assert part.missing == (
        "the title leads to the section '#History' of the article 'Other land'; correct the title"
    )
    assert (part.title, part.redirects, part.section) == ("Other land", ["Land"], "#History")
    assert (part.file, part.method, part.labels) == ("", "", {})


@pytest.mark.parametrize("title", ["File:Bear.jpg", "Category:Bears", "Template:Infobox", "Talk:A"])
def test_a_page_that_is_no_article_is_missing(served, title):
    for steps in ({}, {"redirects": [{"from": "Bear", "to": title}]}):
        shown = {**page(title, COUNTRY), "ns": 6}
        found = asked(served, "Bear" if steps else title, shown, **steps)
        assert found.missing == f"{title!r} is no article; correct the title"
        assert (found.file, found.labels) == ("", {})


def test_a_section_on_any_part_of_the_way_counts(served):
    first, second = {"from": "Lands", "to": "Land"}, {"from": "Land", "to": "Other"}
    normal = [{"from": "lands", "to": "Lands"}]
    for steps in ([{**first, "tofragment": "X"}, second], [first, {**second, "tofragment": "X"}]):
        found = asked(served, "lands", page("Other"), normalized=normal, redirects=steps)
        assert found.missing.startswith(
            "the title leads to the section '#X' of the article 'Other'"
        )
        assert found.redirects == ["lands", "Lands", "Land"]
    whole = asked(served, "lands", page("Other"), normalized=normal, redirects=[first, second])
    assert (whole.missing, whole.file) == ("", "A.png")


@pytest.mark.parametrize("title", ["Land#History", "C#"])
def test_a_title_that_names_a_section_itself_is_missing(served, title):
    name, _, section = title.partition("#")
    found = asked(served, title, page(name), normalized=[{"from": title, "to": name}])
    assert found.missing.startswith(f"the title leads to the section '#{section}' of the article")


def test_pages_that_are_no_articles_of_their_own_are_missing(served):
    list_of_names = page("Mercury", pageprops={"disambiguation": ""})
    found = asked(served, "Mercury", list_of_names)
    assert found.missing == "'Mercury' lists articles that share this name; correct the title"
    found = asked(served, "Jam", page("Jam", "{{Soft redirect|wikt:jam}}"))
    assert found.missing == "'Jam' only points to another page; correct the title"
    for source in ("{{Wiktionary redirect}}", "{{soft_redirect|x}}", "{{Interwiki redirect|de:X}}"):
        assert asked(served, "Jam", page("Jam", source)).missing
    told = page("Jam", "{{Redirect|Jams|the song}} Jam is food.")  # says who leads here
    assert asked(served, "Jam", told).missing == ""


def test_a_record_without_what_is_recorded_today_is_asked_again(tmp_path):
    cache = Cache(tmp_path, "https://one")
    cache.write(Article("Land", "Land"), "Land")
    (path,) = tmp_path.rglob("*.json")
    kept = json.loads(path.read_text())
    del kept["section"]  # as before sections were looked at
    path.write_text(json.dumps(kept))
    assert cache.read(Article, "Land") is None


@pytest.mark.parametrize("passed", ["0", formatdate(0, usegmt=True), "9" * 5000, "soon", None])
def test_a_server_that_names_no_time_to_come_is_left_alone_ever_longer(served, passed):
    answers, url = served
    headers = {} if passed is None else {"Retry-After": passed}
    answers += [(429, headers, b"busy")] * 3 + [(200, {}, b'{"query": {}}')]
    client = Client(Politeness(CONTACT, url, rate=100, first_pause=0.05))
    began = time.monotonic()
    assert client.api({"action": "query"}) == {"query": {}}
    assert time.monotonic() - began > 0.05 * (1 + 2 + 4)
    assert not answers


def collected(served: tuple[list, str], folder: Path, entities: list[Entity], *queries: dict):
    """What is collected where the API answers these queries, and any image is one picture."""
    answers, url = served
    answers += [(200, {}, json.dumps({"query": query}).encode()) for query in queries]
    answers += [(200, {"Content-Type": "image/png"}, image("PNG"))] * 2
    client = Client(Politeness(CONTACT, url, rate=100))
    return collect_wikipedia(client, Cache(folder / "cache", url), entities, folder / "out")


def described(url: str, *names: str) -> dict:
    """What the API says of files."""
    about = {"url": "http://127.0.0.1:1/o", "descriptionurl": "http://127.0.0.1:1/d"}
    about |= {"sha1": "0" * 40, "mime": "image/png", "width": 330, "height": 220}
    at = {name: url.replace("/w/api.php", f"/{name}") for name in names}
    return {
        "pages": [
            {"title": f"File:{name}", "imageinfo": [{**about, "thumburl": at[name]}]}
            for name in names
        ]
    }


def test_two_titles_of_one_page_show_it_once_and_the_other_is_missing(served, tmp_path, caplog):
    steps = [{"from": "Lesser panda", "to": "Red panda"}, {"from": "Fire fox", "to": "Red panda"}]
    pages = [page("Red panda"), page("Okapi", pageimage="B.png"), page("Hare", pageimage="B.png")]
    titles = ("Fire fox", "Lesser panda", "Red panda", "Okapi", "Hare")
    entities = [Entity(title, "mammals", title, "", {}) for title in titles]
    entities.append(Entity("Panda steak", "foods", "Red panda", "", {}))  # of another set
    queries = {"pages": pages, "redirects": steps}, described(served[1], "A.png", "B.png")
    done = collected(served, tmp_path, entities, *queries)
    assert [row["entity"] for row in done.rows] == ["Red panda", "Okapi", "Hare", "Panda steak"]
    reason = "'Red panda' is the article of 'Red panda', too; correct one's title"
    assert {row["entity"]: row["reason"] for row in done.missing} == {
        "Fire fox": reason,
        "Lesser panda": reason,
    }
    assert "Okapi and Hare are shown by one file, B.png" in caplog.text


def test_a_file_that_the_curator_names_counts_whatever_the_page_is(served, tmp_path):
    step = {"from": "Cob", "to": "Corn", "tofragment": "Cob"}
    entities = [
        Entity("Cob", "foods", "Cob", "", {}, "A.png"),
        Entity("Ear", "foods", "Cob", "", {}),
    ]
    queries = {"pages": [page("Corn")], "redirects": [step]}, described(served[1], "A.png")
    done = collected(served, tmp_path, entities, *queries)
    (row,) = done.rows
    assert (row["entity"], row["found_by"], row["title"]) == ("Cob", "override", "Corn")
    assert [one["entity"] for one in done.missing] == ["Ear"]


def image(kind: str, **how: object) -> bytes:
    body = BytesIO()
    Image.effect_noise((330, 220), 50).convert("RGB").save(body, kind, **how)
    return body.getvalue()


def test_still_images_come_out_224_wide():
    for kind in ("PNG", "JPEG", "GIF"):
        shown = decode(image(kind), kind)
        assert (shown.mode, shown.size) == ("RGBA", (224, 149))


def test_an_original_is_shown_upright_and_in_8_bits():
    turned = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (400, 300), "red").save(turned, "JPEG", exif=exif)
    assert decode(turned.getvalue()).size == (224, 299)
    deep = BytesIO()
    Image.fromarray(np.full((300, 300), 20_000, dtype=np.uint16)).save(deep, "PNG")
    assert decode(deep.getvalue()).getpixel((9, 9)) == (78, 78, 78, 255)


OTHER = [Image.new("RGB", (330, 220), "red")]


@pytest.mark.parametrize(
    ("body", "declared", "reason"),
    [
        (image("PNG"), "JPEG", "the bytes are PNG, declared was JPEG"),
        (image("GIF", save_all=True, append_images=OTHER), "GIF", "animated"),
        (image("PNG", save_all=True, append_images=OTHER), "PNG", "animated"),
        (image("PNG")[:-500], "PNG", "no whole image"),
        (image("JPEG")[:4000], "JPEG", "no whole image"),
        (image("TIFF"), "PNG", "no whole image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "PNG", "no whole image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "PNG", "no whole image"),
        (b"", "PNG", "no whole image"),
    ],
)
def test_hostile_bytes_are_refused_with_a_reason(body, declared, reason):
    with pytest.raises(RefusedError, match=reason):
        decode(body, declared)


def test_the_infobox_shows_an_image_and_not_an_icon():
    html = """<p><a href="/wiki/File:Before.png"><img width="300"></a></p>
    <table class="infobox"><tr><td><a href="/wiki/File:Icon.svg"><img width="20"></a>
    <a href="/wiki/File:Flag_of_C%C3%B4te_d%27Ivoire.svg?x=1"><img width="250"></a></td></tr>
    </table>"""
    assert image_in_infobox(html) == "Flag of Côte d'Ivoire.svg"
    assert image_in_infobox("<p>No box.</p>") is None
    assert image_in_infobox('<table class="infobox"><img width="250"></table>') is None
    odd = '<table class="infobox"><a href="http://["><img width="250"></a></table>'
    assert image_in_infobox(odd) is None


def test_labels_are_read_from_the_source_of_an_infobox():
    country = """{{short description|A country}}
    {{Infobox country
    | name = {{nowrap|Land}}
    | capital = [[Capital City|Capital]]{{efn|See [[x|y]].}}<ref name="a">b | c</ref>
    | currency = {{plainlist|
    * [[Land dollar|dollar]] ([[ISO 4217|LDD]])
    }}
    }} '''Land''' {{Infobox country|capital=Other}}"""
    assert infobox_labels(country) == {"capital": "Capital", "currency": "dollar (LDD)"}
    assert infobox_labels("{{Speciesbox|genus=Okapia|species=johnstoni}}")["latin"] == (
        "Okapia johnstoni"
    )
    assert infobox_labels("{{Taxobox|binomial=''Ailurus fulgens''}}")["latin"] == "Ailurus fulgens"
    assert infobox_labels("{{Infobox country | capital = ") == {}
    assert infobox_labels("}} {{ [[ no end") == {}
    assert clean("<!-- no -->[[File:A.png|20px]] '''[[Paris]]'''") == "Paris"


def test_a_full_scrape_is_at_most_30_calls(root):
    tables = [root / f"resources/entities/{name}.csv" for name in ("countries", "foods", "mammals")]
    entities = [entity for table in tables for entity in read_entities(table)]
    titles = [entity.title for entity in entities] + [label_page(entity) for entity in entities]
    files = [f"{entity.title} in the wild, photographed somewhere.jpg" for entity in entities]
    calls = [*batches(titles), *batches(files)]
    assert len(entities) >= 490
    assert len(calls) <= 30
    assert max(map(len, calls)) == TITLES


def test_long_titles_make_smaller_batches():
    titles = [f"{number} " + "é" * 100 for number in range(50)]
    sizes = [len(batch) for batch in batches(titles + titles)]
    assert sum(sizes) == 50
    assert max(sizes) < 10


def test_the_cache_keeps_wikis_apart_and_names_no_file_after_a_title(tmp_path):
    one, other = Cache(tmp_path, "https://one"), Cache(tmp_path, "https://other")
    article = Article("../../x", "X", ["../../x"], 1, 2, "now", labels={"capital": "Y"})
    one.write(article, article.asked)
    assert one.read(Article, "../../x") == article
    assert other.read(Article, "../../x") is None
    assert one.read(WikiFile, "../../x") is None
    assert all(
        part.isalnum() for p in tmp_path.rglob("*.json") for part in (p.stem, *p.parts[-3:-1])
    )
    assert one.bytes_path("u", "s") != other.bytes_path("u", "s")
    one.write(Download("u", "s", "now"), "u", "s")
    path = next(tmp_path.glob("download/*/*.json"))
    path.write_text('{"url": "u", "new_field": 1}', encoding="utf-8")
    with pytest.raises(UserError, match="another version of this project; delete that folder"):
        one.read(Download, "u", "s")


def test_the_override_column_is_no_label(tmp_path):
    table = tmp_path / "mammals.csv"
    table.write_text(
        "entity,title,emoji,file,latin\nA,A,,File:B.jpg,Aus bus\nC,C,,,Cus dus\n", encoding="utf-8"
    )
    first, second = read_entities(table)
    assert (first.file, first.labels) == ("B.jpg", {"latin": "Aus bus"})
    assert second.file == ""
