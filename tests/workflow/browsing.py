"""A real browser that reaches nothing outside this machine, and what its pages asked for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from selenium import webdriver

from programs import need

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def opened(profile: Path) -> Iterator[webdriver.Chrome]:
    """The browser with its profile in a folder; closed in the end."""
    need(["chromium", "chromedriver"], ["chromium", "chromium-driver"])
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in (*OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


def requested(browser) -> list[str]:
    """Addresses outside this machine that pages asked for since the last look."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [entry for entry in entries if entry["method"] == "Network.requestWillBeSent"]
    urls = [entry["params"]["request"]["url"] for entry in sent]
    assert any(url.startswith("file:") for url in urls)
    own = ("data:", "file:", "chrome:", "chrome-untrusted:")  # the browser's pages among them
    return [url for url in urls if not url.startswith(own)]
