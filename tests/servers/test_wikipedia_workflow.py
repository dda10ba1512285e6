"""The rules that collect from Wikipedia and curate, run by Snakemake on a real MediaWiki."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mediawiki.server import what_is_missing

from taskvectors.base.files import read_jsonl

# Skipping the whole file makes it one line of the summary. In CI the tests run, or fail.
if what_is_missing() and not os.environ.get("CI"):
    pytest.skip(f"no MediaWiki server: {what_is_missing()}", allow_module_level=True)

ROOT = Path(__file__).resolve().parents[2]
CONTACT = "Ann Example <ann@example.org>"


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A copy of the workflow whose foods are pages of the test wiki."""
    for name in ("Snakefile", "config.yaml", "workflow", "resources", "envs"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, tmp_path / name)
    rows = [f"Food {n},Filler {n:03d},,red,sweet\n" for n in range(12)]
    rows += ["Lost,No such page,,red,sweet\n"]
    table = tmp_path / "resources/entities/foods.csv"
    table.write_text("entity,title,emoji,color,flavor\n" + "".join(rows), encoding="utf-8")
    return tmp_path


TARGETS = ("contact_sheets", "results/embedded/curate/food-color/decisions.jsonl")


def test_the_workflow_collects_curates_and_is_then_up_to_date(wiki, checkout):
    settings = {
        "tasks": "[food-color]",
        "exemplars": "2",
        "splits": "{foods: {validation: 4, test: 6}}",
        "images": "{evaluation: wikipedia, training: []}",
    }

    def run(*given: str, wanted: tuple[str, ...] = TARGETS) -> str:
        line = [sys.executable, "-m", "snakemake", "--cores", "1", *wanted, "--config"]
        line += [*(f"{key}={value}" for key, value in settings.items()), *given]
        done = subprocess.run(line, cwd=checkout, text=True, capture_output=True, check=False)
        return done.stdout + done.stderr if done.returncode == 0 else f"failed: {done.stderr}"

    assert "set wikipedia.contact in the configuration" in run()
    assert not wiki.log
    who = f'wikipedia={{contact: "{CONTACT}", api_url: "{wiki.url}", rate: 20}}'
    assert not run(who).startswith("failed")
    results = checkout / "results/embedded"
    decisions = read_jsonl(results / "curate/food-color/decisions.jsonl")
    lost = next(row for row in decisions if row["entity"] == "Lost")
    assert lost["decision"] == "left out: no image: no such page"
    assert any(row["decision"].startswith("dropped: color: ") for row in decisions)
    assert (results / "curate/contact_sheets/foods.png").is_file()
    asked = len(wiki.log)
    assert "Nothing to be done" in run(who.replace("rate: 20", "rate: 9"))
    assert len(wiki.log) == asked
    refreshed = run(who, "refresh=true", wanted=("-f", "collect_wikipedia"))
    assert not refreshed.startswith("failed")
    assert len(wiki.log) > asked
    # The manifest came out the same, so nothing after it is stale.
    assert "Nothing to be done" in run(who)
