"""Collecting from a real MediaWiki. Politeness is read from the server's log, not the client's."""

from __future__ import annotations

import os
import re
import signal
import struct
import subprocess
import time
import zlib
from collections import Counter
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from collecting import command
from mediawiki.server import Fault, Wiki, what_is_missing
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.collect.wikipedia import Collection, collect_wikipedia
from taskvectors.collect.wikipedia_api import _query, _values
from taskvectors.collect.wikipedia_cache import Cache
from taskvectors.collect.wikipedia_client import Client, Politeness
from taskvectors.study.entities import Entity

# Skipping the whole file makes it one line of the summary. In CI the tests run, or fail.
if what_is_missing() and not os.environ.get("CI"):
    pytest.skip(f"no MediaWiki server: {what_is_missing()}", allow_module_level=True)

CONTACT = "Ann Example <ann@example.org>"


def entity(title: str, file: str = "", **labels: str) -> Entity:
    return Entity(title, "mammals", title, "", labels, file)


FILLERS = [entity(f"Filler {number:03d}") for number in range(120)]


def collect(wiki: Wiki, folder: Path, *entities: Entity, refresh: bool = False) -> Collection:
    """Collect fast, with the cache beside the images."""
    client = Client(Politeness(CONTACT, wiki.url, rate=100, first_pause=0.1, slow_pause=1.5))
    cache = Cache(folder / "cache", wiki.url)
    return collect_wikipedia(client, cache, list(entities), folder / "out", refresh)


def by_entity(rows: list[dict]) -> dict[str, dict]:
    return {row["entity"]: row for row in rows}


def test_every_way_to_an_image_is_recorded(wiki, tmp_path):
    flag = Entity("Ivory Coast", "countries", "Flag of Côte d'Ivoire", "", {"capital": "x"})
    done = collect(
        *(wiki, tmp_path, flag, entity("okapi"), entity("Corp")),
        *(entity("Nothing", file="Okapi.png"), entity("Small")),
    )
    rows = by_entity(done.rows)
    assert rows["Ivory Coast"]["title"] == "Flag of Ivory Coast"
    assert rows["Ivory Coast"]["redirects"] == "Flag of Côte d'Ivoire"
    assert rows["okapi"]["redirects"] == "okapi"
    assert rows["okapi"]["author"] == "Raul & Søby"
    assert rows["okapi"]["licence_url"].endswith("/by-sa/3.0/")
    assert rows["okapi"]["attribution_required"] is True
    assert (rows["Corp"]["found_by"], rows["Corp"]["free"]) == ("infobox", False)
    assert (rows["Nothing"]["found_by"], rows["Nothing"]["wiki_file"]) == ("override", "Okapi.png")
    assert rows["Ivory Coast"]["file"] == "images/countries/ivory-coast.png"
    for row in done.rows:
        path = tmp_path / "out" / row["file"]
        with Image.open(path) as image:
            assert (image.width, image.height) == (224, row["height"])
        assert sha256(path) == row["sha256"]
        assert re.fullmatch(r"[0-9a-f]{40}", row["original_sha1"])
        assert row["revision"] > 0 and row["revision_time"] == "2021-03-04T05:06:07Z"


def test_entities_without_an_image_are_reported_with_the_reason(wiki, tmp_path):
    titles = ("Below the lead", "Nothing", "Dangling", "No such page", "A|B", "../../etc/passwd")
    titles += ("Lesser panda", "Okapi#Habitat")
    done = collect(wiki, tmp_path, entity("Okapi"), *map(entity, titles))
    reasons = {row["entity"]: row["reason"] for row in done.missing}
    assert list(reasons) == list(titles)
    assert reasons["No such page"] == "no such page"
    assert reasons["Nothing"].startswith("the page shows no image")
    assert reasons["A|B"].startswith("not a possible title")
    section = "the title leads to the section {!r} of the article {!r}; correct the title"
    assert reasons["Lesser panda"] == section.format("#Etymology", "Red panda")
    assert reasons["Okapi#Habitat"] == section.format("#Habitat", "Okapi")
    assert not list(tmp_path.rglob("*passwd*"))


def test_a_name_that_climbs_stays_in_the_folder(wiki, tmp_path):
    climber = Entity("../../../escape", "mammals", "Okapi", "", {})
    assert collect(wiki, tmp_path, climber).rows[0]["file"] == "images/mammals/escape.png"
    assert [p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("escape.png")] == ["out"]


def test_120_titles_take_3_calls_and_each_image_one_download(wiki, tmp_path):
    done = collect(wiki, tmp_path, *FILLERS)
    assert len(done.rows) == 120
    assert len(wiki.api_calls) == 3 + 1
    assert len(wiki.image_calls) == 12
    assert max(Counter(request.path for request in wiki.log).values()) == 1


def test_an_answer_in_parts_is_put_together(wiki):
    client = Client(Politeness(CONTACT, wiki.url, rate=100))
    titles = _values(filler.title for filler in FILLERS[:50])
    query = {"prop": "pageimages", "piprop": "name", "pilimit": 20, "titles": titles}
    pages = _query(client, query)["pages"]
    assert len(pages) == 50 and all(page["pageimage"] for page in pages.values())
    assert len(wiki.api_calls) == 3


def test_the_client_is_polite_in_the_servers_eyes(wiki, tmp_path):
    titles = ["Okapi", "Red panda", "Corp", "Small", "Flag of France"]
    done = subprocess.run(
        command(wiki, tmp_path, titles, "--contact", CONTACT, "--rate", "4"), check=False
    )
    assert done.returncode == 0
    agents = {request.user_agent for request in wiki.log}
    assert len(agents) == 1
    assert re.fullmatch(rf"taskvectors-collect/[\d.]+ \({CONTACT}\) python-requests/.*", *agents)
    assert all("maxlag=5" in request.path for request in wiki.api_calls)
    log = sorted(wiki.log, key=lambda request: request.began)
    assert len(log) == 1 + 1 + 1 + 5  # pages, an infobox, files, images
    for before, after in pairwise(log):
        assert after.began >= before.ended, "two requests at a time"
        assert after.began - before.began > 0.24, "faster than 4 a second"
    widths = re.findall(r"/(\d+)px-", " ".join(request.path for request in wiki.image_calls))
    assert widths and set(widths) == {"330"}


def test_at_the_default_rate_requests_start_a_second_apart(wiki, tmp_path):
    line = command(wiki, tmp_path, ["Okapi"], "--contact", CONTACT)
    assert subprocess.run(line, check=False).returncode == 0
    starts = sorted(request.began for request in wiki.log)
    assert len(starts) == 3
    assert all(b - a > 0.98 for a, b in pairwise(starts))


IMAGE = "330px-Okapi.png"
PASSING = {
    "429": Fault(IMAGE, status=429),
    "503 twice": Fault(IMAGE, times=2, status=503),
    "reset": Fault(IMAGE, reset=True),
    "truncated": Fault(IMAGE, keep=1000),
    "API 429": Fault("pageimages", status=429),
    "API 503 twice": Fault("imageinfo", times=2, status=503),
    "API reset": Fault("pageimages", reset=True),
    "API truncated": Fault("imageinfo", keep=100),
    "API in HTML": Fault("pageimages", body=b"<html>oops</html>"),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_a_passing_fault_costs_a_request_and_nothing_else(wiki, tmp_path, fault):
    times = fault.times
    wiki.faults.append(Fault(**vars(fault)))
    done = collect(wiki, tmp_path, entity("Okapi"))
    assert [row["entity"] for row in done.rows] == ["Okapi"] and not done.missing
    assert len(wiki.log) == 3 + times
    log = sorted(wiki.log, key=lambda request: request.began)
    failed = [i for i, request in enumerate(log) if fault.where in request.path][:times]
    pauses = [log[i + 1].began - log[i].ended for i in failed]
    assert all(p > 0.09 * 2**i for i, p in enumerate(pauses)), "no back-off"


@pytest.mark.parametrize("where", [IMAGE, "pageimages"])
def test_retry_after_is_honoured(wiki, tmp_path, where):
    wiki.faults.append(Fault(where, status=429, headers={"Retry-After": "2"}))
    assert collect(wiki, tmp_path, entity("Okapi")).rows
    turned_away, again = [request for request in wiki.log if where in request.path]
    assert again.began - turned_away.ended > 1.95


def test_maxlag_comes_as_status_200_and_is_waited_for(wiki, tmp_path):
    wiki.lag(1)
    assert collect(wiki, tmp_path, entity("Okapi")).rows
    first, second, *_ = wiki.api_calls
    assert first.status == 200 and first.path == second.path
    assert second.began - first.ended > 4.9  # MediaWiki asks for 5 seconds or more


def test_a_server_that_asks_for_hours_is_left_alone(wiki, tmp_path):
    wiki.faults.append(Fault("pageimages", status=429, headers={"Retry-After": "7200"}))
    with pytest.raises(UserError, match="left alone for 7200 s; run the same command again"):
        collect(wiki, tmp_path, entity("Okapi"))
    assert len(wiki.log) == 1


def test_after_a_slow_answer_the_next_waits(wiki, tmp_path):
    wiki.faults.append(Fault("pageimages", seconds=1.1))
    assert collect(wiki, tmp_path, entity("Okapi")).rows
    assert wiki.api_calls[1].began - wiki.api_calls[0].ended > 1.45


def test_403_three_times_is_a_hard_stop(wiki, tmp_path):
    wiki.faults.append(Fault("/w/api.php", times=99, status=403))
    with pytest.raises(UserError, match=r"403 \(forbidden\) 3 times in a row; stop here"):
        collect(wiki, tmp_path, entity("Okapi"))
    assert len(wiki.log) == 3


def test_a_server_that_stays_down_ends_in_one_sentence(wiki, tmp_path):
    wiki.faults.append(Fault("/w/api.php", times=99, status=503))
    with pytest.raises(UserError, match=r"in 6 tries \(status 503: no\); run the same"):
        collect(wiki, tmp_path, entity("Okapi"))
    assert len(wiki.log) == 6


def png_of(width: int, height: int) -> bytes:
    """A PNG that says it has this size, whatever is in it."""
    plain = BytesIO()
    Image.new("1", (1, 1)).save(plain, "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + plain.getvalue()[24:29]
    check = struct.pack(">I", zlib.crc32(header))
    return plain.getvalue()[:12] + header + check + plain.getvalue()[33:]


REFUSED = {
    "HTML": (Fault(IMAGE, body=b"<html>", headers={"Content-Type": "text/html"}), "text/html"),
    "HTML as PNG": (Fault(IMAGE, body=b"<html>"), "no whole image"),
    "SVG": (Fault(IMAGE, headers={"Content-Type": "image/svg+xml"}), "image/svg"),
    "wrong type": (Fault(IMAGE, headers={"Content-Type": "image/jpeg"}), "bytes are PNG"),
    "bomb": (Fault(IMAGE, body=png_of(60_000, 60_000)), "unpacks to too many pixels"),
    "small bomb": (Fault(IMAGE, body=png_of(8_000, 8_000)), "8000 x 8000 pixels are too many"),
    "too large": (Fault(IMAGE, body=bytes(10_000_001)), "more than 10,000,000 bytes"),
    "elsewhere": (Fault(IMAGE, status=302, headers={"Location": "https://example.org/x.png"}),
                  "https://example.org is not allowed"),
    "inwards": (Fault(IMAGE, status=302, headers={"Location": "http://127.0.0.1:22/"}),
                "http://127.0.0.1:22 is not allowed"),
    "in circles": (Fault(IMAGE, times=9, status=302), "more than 3 redirects"),
    "gone": (Fault(IMAGE, status=404), "status 404"),
    "refused width": (Fault(IMAGE, status=429, body=b"Use thumbnail steps listed"), "width"),
}  # fmt: skip


@pytest.mark.parametrize(("fault", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_image_is_refused_once_and_the_rest_goes_on(wiki, tmp_path, fault, reason):
    wiki.faults.append(Fault(**vars(fault)))
    done = collect(wiki, tmp_path, entity("Okapi"), entity("Small"))
    assert [row["entity"] for row in done.missing] == ["Okapi"]
    assert reason in done.missing[0]["reason"]
    assert [row["entity"] for row in done.rows] == ["Small"]
    assert not list((tmp_path / "out").rglob("*okapi*"))
    tries = sum(IMAGE in request.path for request in wiki.log)
    assert tries == (4 if reason == "more than 3 redirects" else 1)


def test_wrong_sha1_is_refused_and_only_a_refresh_tries_again(wiki, tmp_path):
    other = tmp_path / "other.png"
    Image.new("RGB", (300, 200), "red").save(other)
    wiki.faults.append(Fault("/Small.png", body=other.read_bytes()))
    both = (entity("Small"), entity("Okapi"))
    done = collect(wiki, tmp_path, *both)
    assert "do not have the SHA-1" in done.missing[0]["reason"]
    before = len(wiki.log)
    assert collect(wiki, tmp_path, *both).missing == done.missing
    assert len(wiki.log) == before
    assert not collect(wiki, tmp_path, *both, refresh=True).missing


def test_killed_in_the_middle_it_goes_on_and_repeats_no_request(wiki, tmp_path):
    titles = [filler.title for filler in FILLERS]
    line = command(wiki, tmp_path, titles, "--contact", CONTACT, "--rate", "2")
    running = subprocess.Popen(line)
    while len(wiki.image_calls) < 3:
        time.sleep(0.01)
        assert running.poll() is None
    time.sleep(0.15)  # the answer is kept by now; the next request is 0.3 s away
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not (tmp_path / "out/manifest.csv").exists()
    calls = len(wiki.api_calls)
    line[line.index("--rate") + 1] = "100"
    assert subprocess.run(line, check=False).returncode == 0
    assert len(pd.read_csv(tmp_path / "out/manifest.csv")) == 120
    assert len(wiki.api_calls) == calls == 4
    assert len(wiki.image_calls) == 12
    assert max(Counter(request.path for request in wiki.log).values()) == 1


def test_two_collections_never_run_at_the_same_time(wiki, tmp_path):
    line = command(wiki, tmp_path, ["Okapi"], "--contact", CONTACT)
    with Cache(tmp_path / "cache", wiki.url).only_one():
        done = subprocess.run(line, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert "another collection is running" in done.stderr
    assert not wiki.log
    assert subprocess.run(line, check=False).returncode == 0


def test_another_experiment_asks_only_for_what_is_new(wiki, tmp_path):
    collect(wiki, tmp_path, entity("Okapi"))
    wiki.log.clear()
    client = Client(Politeness(CONTACT, wiki.url, rate=100))
    cache = Cache(tmp_path / "cache", wiki.url)
    both = [entity("Okapi"), entity("Small")]
    assert len(collect_wikipedia(client, cache, both, tmp_path / "other").rows) == 2
    assert len(wiki.log) == 3
    assert not [request for request in wiki.log if "Okapi" in request.path]


def test_refresh_says_what_changed_and_fetches_no_unchanged_image(wiki, tmp_path, caplog):
    caplog.set_level("INFO", "taskvectors")
    both = (entity("Changing"), entity("Corp"))
    old = by_entity(collect(wiki, tmp_path, *both).rows)
    wiki.edit("Changing", f"{time.time()} [[File:Okapi.png|thumb]]")
    wiki.log.clear()
    new = by_entity(collect(wiki, tmp_path, *both, refresh=True).rows)
    assert new["Changing"]["revision"] > old["Changing"]["revision"]
    assert new["Corp"] == old["Corp"]
    changed = [r.message for r in caplog.records if r.message.startswith("changed since")]
    assert f"Changing: revision {old['Changing']['revision']} -> " in "\n".join(changed)
    assert not [message for message in changed if "Corp" in message]
    assert len(wiki.api_calls) == 2 and not wiki.image_calls


def test_without_a_contact_nothing_is_asked(wiki, tmp_path):
    done = subprocess.run(
        command(wiki, tmp_path, ["Okapi"]), text=True, capture_output=True, check=False
    )
    assert done.returncode == 1
    assert "set wikipedia.contact in the configuration" in done.stderr
    assert "Traceback" not in done.stderr
    assert not wiki.log and not (tmp_path / "out").exists()


def test_the_command_writes_manifest_attribution_missing_and_infoboxes(wiki, tmp_path):
    line = command(wiki, tmp_path, ["Okapi", "Corp", "Nothing"], "--contact", CONTACT)
    assert subprocess.run([*line, "--rate", "50"], check=False).returncode == 0
    out = tmp_path / "out"
    assert pd.read_csv(out / "manifest.csv")["entity"].tolist() == ["Okapi", "Corp"]
    assert pd.read_csv(out / "missing.csv")["entity"].tolist() == ["Nothing"]
    said = pd.read_csv(out / "infoboxes.csv").set_index("entity")["infobox"]
    assert said["Okapi"] == "Okapia johnstoni"
    text = (out / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "Raul & Søby, [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/)." in text
    assert "Corp, Fair use. **Not free: do not publish.**" in text
