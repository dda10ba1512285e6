"""The results site in a real browser: it opens, filters, complains of nothing, asks for nothing."""

from __future__ import annotations

import json
import re
import shutil

import pandas as pd
import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from programs import need
from taskvectors.study.items import ITEMS

pytestmark = pytest.mark.workflow
# The cut-down experiment has one template and no language model beside the VLM.
ABSENT = ("table_4", "table_6", "table_7", "table_gap")
MADE = [item for item in ITEMS if item not in ABSENT]
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    need(["chromium", "chromedriver"], ["chromium", "chromium-driver"])
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, tiny_run):
    """The site, opened anew from its file."""
    browser.get((tiny_run.results / "site/index.html").as_uri())
    return browser


def requested(browser) -> list[str]:
    """Addresses outside this machine that pages asked for since the last look."""
    entries = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [entry for entry in entries if entry["method"] == "Network.requestWillBeSent"]
    urls = [entry["params"]["request"]["url"] for entry in sent]
    assert any(url.startswith("file:") for url in urls)
    own = ("data:", "file:", "chrome:", "chrome-untrusted:")  # the browser's pages among them
    return [url for url in urls if not url.startswith(own)]


def shown(page, selector: str) -> list:
    return [
        found for found in page.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()
    ]


def choose(page, key: str, value: str) -> None:
    Select(page.find_element(By.ID, f"filter-{key}")).select_by_visible_text(value)


def test_it_opens_with_every_item_reproduction_first_and_no_complaint(page, tiny_run):
    sections = [s.get_attribute("id") for s in page.find_elements(By.CSS_SELECTOR, "main section")]
    assert [name for name in sections if name != "absent"] == MADE
    assert sections[0] == "reproduction"
    assert [entry for entry in page.get_log("browser") if entry["level"] != "INFO"] == []
    assert requested(page) == []
    widths = page.execute_script("return [...document.images].map((one) => one.naturalWidth)")
    assert widths and min(widths) > 0


def test_every_link_is_relative_and_leads_to_a_file(page, tiny_run):
    links = page.find_elements(By.CSS_SELECTOR, ".made a")
    assert len(links) == 3 * len(MADE)
    for link in links:
        target = link.get_dom_attribute("href")
        assert re.fullmatch(r"\.\./(tables|figures)/\w+\.\w+", target)
        assert (tiny_run.results / "site" / target).is_file()
    targets = {code.text for code in page.find_elements(By.CSS_SELECTOR, ".made code")}
    assert targets == {f"snakemake --cores 2 {item}" for item in MADE}


def test_table_3_shows_the_numbers_of_its_data_file(page, tiny_run):
    data = pd.read_csv(tiny_run.results / "tables/table_3.csv")
    rows = page.find_elements(By.CSS_SELECTOR, "#table_3 tbody tr")
    assert len(rows) == len(data)
    for row, numbers in zip(rows, data.to_dict("records"), strict=True):
        cells = [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        assert cells[:4] == [numbers[name] for name in ("model", "method", "metric", "source")]
        for cell, task in zip(cells[4:6], ("country-capital", "food-color"), strict=True):
            grey = task in str(numbers["not_above"]).split()
            number = "–" if pd.isna(numbers[task]) else f"{numbers[task]:.2f}"
            assert cell == (f"{number}°" if grey else number)


def test_filters_hide_and_show_rows_columns_and_items(page, tiny_run):
    everything = len(shown(page, "#table_3 tbody tr"))
    data = pd.read_csv(tiny_run.results / "tables/table_3.csv")
    assert everything == len(data)
    choose(page, "metric", "strict")
    assert len(shown(page, "#table_3 tbody tr")) == (data["metric"] == "strict").sum()
    choose(page, "model", "embedded")
    mine = data["model"].isin(["embedded", "-"]) & (data["metric"] == "strict")
    assert len(shown(page, "#table_3 tbody tr")) == mine.sum() < everything
    choose(page, "task", "food-color")
    heads = [head.text for head in shown(page, "#table_3 th")]
    assert "food-color" in heads
    assert "country-capital" not in heads
    assert not shown(page, "#figure_3")
    page.find_element(By.CSS_SELECTOR, "button[type=reset]").click()
    assert len(shown(page, "#table_3 tbody tr")) == everything
    assert shown(page, "#figure_3")
    count = page.find_element(By.ID, "count").text
    rows = len(page.find_elements(By.CSS_SELECTOR, "tbody tr"))
    assert count == f"{rows} of {rows} rows"


def test_it_is_used_by_keyboard_alone(page):
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("class") == "skip"
    page.switch_to.active_element.send_keys(Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "filter-model"
    page.switch_to.active_element.send_keys("embedded")
    before = len(page.find_elements(By.CSS_SELECTOR, "#table_3 tbody tr"))
    assert 0 < len(shown(page, "#table_3 tbody tr")) < before
    scrolled = page.find_elements(By.CSS_SELECTOR, ".scroll")
    assert scrolled and all(one.get_dom_attribute("tabindex") == "0" for one in scrolled)


def test_on_a_phone_only_the_tables_scroll_sideways(page):
    metrics = {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        page.refresh()
        wide = page.execute_script("return document.documentElement.scrollWidth")
        assert wide <= 360
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_report_works_without_a_network(browser, tiny_run, tmp_path):
    report = tmp_path / "report.html"
    made = tiny_run.tiny("--report", str(report))
    assert made.returncode == 0, made.stdout[-3000:]
    browser.get(report.as_uri())
    assert browser.title == "Snakemake Report"
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []
    assert requested(browser) == []
