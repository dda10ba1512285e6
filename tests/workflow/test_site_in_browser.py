"""The results site in a real browser: it opens, filters, complains of nothing, asks for nothing."""

from __future__ import annotations

import os
import re
import subprocess

import pandas as pd
import pytest
from browsing import requested
from checkouts import ROOT
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from programs import need
from taskvectors.study.items import ITEMS

pytestmark = pytest.mark.workflow
# The cut-down experiment has one template and no language model beside the VLM.
ABSENT = ("table_4", "table_6", "table_7", "table_gap", "table_wild", "table_compute")
MADE = [item for item in ITEMS if item not in ABSENT]


@pytest.fixture(scope="module")
def axe() -> str:
    """axe-core's source, as envs/axe locks it, fetched once for a checkout."""
    source = ROOT / "envs/axe/node_modules/axe-core/axe.min.js"
    if not source.is_file():
        need(["npm"], ["npm"])
        fetch = ["npm", "ci", "--prefix", "envs/axe", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(fetch, cwd=ROOT, text=True, capture_output=True, check=False)
        if done.returncode and not os.environ.get("CI"):
            pytest.skip(f"axe-core cannot be had: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return source.read_text(encoding="utf-8")


@pytest.fixture
def page(browser, tiny_run):
    """The site, opened anew from its file."""
    browser.get((tiny_run.results / "site/index.html").as_uri())
    return browser


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


WIDTHS = (360, 768, 1280, 1920)


@pytest.fixture(params=WIDTHS)
def window(request, page):
    """The page in a window of this width, in CSS pixels."""
    metrics = {"width": request.param, "height": 900, "deviceScaleFactor": 1}
    phone = {"mobile": request.param < 500}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics | phone)
    page.refresh()
    yield page
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


# What is cut off: text outside the window, cells outside what can be scrolled to, or text that its
# own box clips. Boxes are taken as they are drawn; the end of a table is scrolled to first.
CUT_OFF = """
const wide = document.documentElement.clientWidth, found = [];
const words = (one) => `${one.tagName} ${one.textContent.trim().slice(0, 60)}`;
const say = (one, why) => found.push(`${why}: ${words(one)}`);
if (document.documentElement.scrollWidth > wide) say(document.body, 'the page scrolls sideways');
for (const one of document.querySelectorAll('body *:not(.skip, script)')) {
  if (!one.getClientRects().length) continue;
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const clips = style.overflowX !== 'visible' && !['SELECT', 'OPTION'].includes(one.tagName);
  const clipped = clips && !one.matches('.scroll') && one.scrollWidth > one.clientWidth + 1;
  if (clipped) say(one, 'clipped');
  if (!one.closest('.scroll table') && (box.left < -1 || box.right > wide + 1)) say(one, 'outside');
}
for (const scroll of document.querySelectorAll('.scroll')) {
  const seen = scroll.getBoundingClientRect();
  for (const [edge, place] of [['left', 0], ['right', scroll.scrollWidth]]) {
    scroll.scrollLeft = place;
    for (const row of scroll.querySelectorAll('tr')) {
      const cells = [...row.children].filter((cell) => cell.getClientRects().length);
      if (!cells.length) continue;
      const cell = edge === 'left' ? cells[0] : cells[cells.length - 1];
      const off = edge === 'left'
        ? seen.left - cell.getBoundingClientRect().left
        : cell.getBoundingClientRect().right - seen.right;
      if (off > 1) say(cell, `${scroll.ariaLabel} cannot be scrolled to its ${edge}`);
    }
  }
  scroll.scrollLeft = 0;
}
return found;
"""


def test_nothing_is_cut_off_at_any_width(window):
    assert window.execute_script(CUT_OFF) == []
    # The check sees what is cut off: so a column that is wider than its table's room would be.
    window.execute_script("document.querySelector('#table_3 .scroll').style.overflow = 'hidden';")
    window.execute_script("document.querySelector('h1').style.cssText = 'width: 200vw';")
    found = window.execute_script(CUT_OFF)
    assert any(line.startswith("outside: H1") for line in found)


def test_every_claim_begins_with_its_verdict_which_is_seen_without_scrolling(window, tiny_run):
    data = pd.read_csv(tiny_run.results / "tables/reproduction.csv")
    wide = window.execute_script("return document.documentElement.clientWidth")
    verdicts = window.execute_script(
        "return [...document.querySelectorAll('#reproduction tbody tr')].map((row) => {"
        "  const cell = row.querySelector('td'), box = cell.getBoundingClientRect();"
        "  return [cell.textContent.trim(), box.left, box.right, box.width, box.height]; })"
    )
    assert len(verdicts) == len(data)
    for (text, left, right, *size), said in zip(verdicts, data["verdict"], strict=True):
        assert text.split(":")[0] == said
        assert left >= 0 and right <= wide and min(size) > 0


# Tables whose last columns were lost once, at any width or at most.
ONCE_CUT = {"reproduction", "table_3", "table_8", "table_conflict"}


def test_wide_tables_scroll_inside_themselves_and_show_all_on_a_wide_screen(window):
    boxes = "return [...document.querySelectorAll('.scroll')]"
    room = f"{boxes}.map((box) => [box.ariaLabel, box.scrollWidth, box.clientWidth])"
    scrolled = {name for name, needs, has in window.execute_script(room) if needs > has}
    wide = window.execute_script("return window.innerWidth")
    assert not ONCE_CUT & scrolled if wide == 1920 else "table_conflict" in scrolled


def contrast_of(colours: list[str]) -> float:
    """WCAG's contrast of two colours, each ``rgb(r, g, b)``."""
    shades = []
    for colour in colours:
        parts = [int(number) / 255 for number in re.findall(r"\d+", colour)[:3]]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        shades.append(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
    return (max(shades) + 0.05) / (min(shades) + 0.05)


# Shadows over tables and the bar that stays in sight hide the paper behind a text from axe; what
# is scrolled out of a table it cannot see; and thousands of cells of a kind take it a minute.
PLAIN = """
document.querySelectorAll('.scroll').forEach((one) => { one.style.background = 'none'; });
document.querySelector('form').style.position = 'static';
document.querySelector('main').style.maxWidth = 'none';
document.querySelectorAll('tbody tr:nth-child(n + 13)').forEach((one) => one.remove());
"""
WIDE = {"width": 4000, "height": 900, "deviceScaleFactor": 1, "mobile": False}
RUN_AXE = """
const done = arguments[0];
const say = (one) => [one.id, one.impact, one.help, one.nodes.length, one.nodes[0].html];
axe.run(document).then((found) => done({
  violations: found.violations.map(say), incomplete: found.incomplete.map(say),
}));
"""


def accessibility(page, axe: str) -> dict[str, list]:
    """What axe finds wrong, and what it cannot tell: rule, impact, help, how many, the first."""
    page.set_script_timeout(120)
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", WIDE)
    page.execute_script(PLAIN)
    # The page's policy keeps every script out but its own: this one comes from the driver.
    page.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    return page.execute_async_script(RUN_AXE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_light_or_dark_as_the_reader_wishes_and_axe_finds_nothing_serious(page, axe, scheme):
    wish = [{"name": "prefers-color-scheme", "value": scheme}]
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": wish})
    try:
        style = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
        paper, ink = page.execute_script(style)
        assert (sum(map(int, re.findall(r"\d+", paper))) > 3 * 128) == (scheme == "light")
        assert contrast_of([paper, ink]) > 7
        found = accessibility(page, axe)
        assert [one for one in found["violations"] if one[1] in ("serious", "critical")] == []
        assert not [one for one in found["incomplete"] if one[0] == "color-contrast"]
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_axe_finds_what_is_wrong(page, axe):
    """A missing alternative and a weak colour are found: the engine runs on this page."""
    page.execute_script(
        "document.images[0].removeAttribute('alt');"
        "document.querySelectorAll('main section:nth-of-type(n + 4)').forEach((s) => s.remove());"
        "document.querySelector('header p').style.color = '#ccc';"
    )
    found = accessibility(page, axe)
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert {"image-alt", "color-contrast"} <= {one[0] for one in found["violations"]}


def test_the_report_works_without_a_network(browser, tiny_run, tmp_path):
    report = tmp_path / "report.html"
    made = tiny_run.tiny("--report", str(report))
    assert made.returncode == 0, made.stdout[-3000:]
    browser.get(report.as_uri())
    assert browser.title == "Snakemake Report"
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert severe == []
    assert requested(browser) == []
