"""The docs: built strict without a network, and opened in a real browser from their files."""

from __future__ import annotations

import inspect
import os
import subprocess
from pathlib import Path

import pytest
from browsing import requested
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from taskvectors.models.base import Adapter
from taskvectors.study.config import resolve
from taskvectors.study.keys import keys

pytestmark = pytest.mark.workflow
ROOT = Path(__file__).resolve().parents[2]
MKDOCS = ROOT / ".venv-docs/bin/mkdocs"
NO_NETWORK = dict.fromkeys(
    ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://[::1]:9"
)


def build(site: Path, *settings: str) -> subprocess.CompletedProcess[str]:
    """Build the docs with a network that leads nowhere."""
    if not MKDOCS.exists() and "CI" not in os.environ:
        pytest.skip("not on this machine: .venv-docs, which `make docs` makes")
    return subprocess.run(
        [MKDOCS, "build", "--strict", "--site-dir", site, *settings],
        cwd=ROOT,
        env={**os.environ, **NO_NETWORK},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )


@pytest.fixture(scope="session")
def docs(tmp_path_factory) -> Path:
    site = tmp_path_factory.mktemp("docs")
    done = build(site)
    assert done.returncode == 0, done.stdout[-3000:]
    return site


@pytest.fixture
def page(browser, docs):
    """A function that opens a page, and fails where the browser complains or asks elsewhere."""

    def open_page(name: str):
        browser.get((docs / name).as_uri())
        assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
        assert requested(browser) == []
        return browser

    return open_page


def test_every_page_opens_without_complaint_and_asks_for_nothing(docs, page):
    names = {path.name for path in docs.glob("*.html")} - {"404.html"}
    assert {"index.html", "faq.html", "api.html", "config-keys.html", "changelog.html"} <= names
    for name in sorted(names):
        shown = page(name).find_elements(By.CSS_SELECTOR, "article h1")
        assert len(shown) == 1 and shown[0].text, name
        widths = page(name).execute_script(
            "return [...document.querySelectorAll('article img')].map((one) => one.naturalWidth)"
        )
        assert all(widths), name


def test_the_page_of_keys_shows_each_with_its_default(page):
    rows = page("config-keys.html").find_elements(By.CSS_SELECTOR, "tbody tr")
    assert [row.find_element(By.TAG_NAME, "td").text for row in rows] == [k.name for k in keys()]
    assert rows[-2].find_elements(By.TAG_NAME, "td")[2].text == "10000"


def test_the_api_is_shown_with_its_words(page):
    text = page("api.html").find_element(By.TAG_NAME, "article").text
    for function in (Adapter.encode, Adapter.logits, resolve):
        first = " ".join(inspect.getdoc(function).replace("`", "").split("\n\n")[0].split())
        assert first in " ".join(text.split()), function


def test_a_search_finds_a_page_without_a_server(page):
    opened = page("index.html")
    opened.execute_script("document.querySelector('#__search').click()")
    opened.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("mediation")
    links = WebDriverWait(opened, 20).until(
        lambda seen: seen.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    )
    assert any("heads.html" in link.get_attribute("href") for link in links)


def test_a_broken_link_breaks_the_build(tmp_path):
    """With a page that links to none, built from a copy of the settings."""
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/index.md").write_text("# A\n\n[gone](gone.md)\n", encoding="utf-8")
    own = settings.split("nav:")[0].replace("hooks: [docs/hook.py]", "")
    (tmp_path / "mkdocs.yml").write_text(own, encoding="utf-8")
    done = build(tmp_path / "site", "--config-file", str(tmp_path / "mkdocs.yml"))
    assert done.returncode != 0
    assert "'gone.md'" in done.stdout
