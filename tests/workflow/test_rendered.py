"""What the cut-down experiment rendered: every number again from predictions, by other means."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pandas as pd
import pytest
from checkouts import Checkout
from test_tiny_run import LAYERS, SEEDS, TASKS, share_right

from programs import need
from taskvectors.study.datasets import read_exemplar_sets, read_items
from taskvectors.study.items import ITEMS
from taskvectors.study.predictions import read_predictions

pytestmark = pytest.mark.workflow
# The cut-down experiment has one template and no language model beside the VLM.
ABSENT = ("table_4", "table_6", "table_7", "table_gap", "table_wild", "table_compute")
MADE = [item for item in ITEMS if item not in ABSENT]


def predictions(tiny_run, task: str, split: str = "test") -> pd.DataFrame:
    """Baselines and patched answers of one task and split."""
    place = f"embedded/spaced/{task}"
    read = read_predictions([tiny_run.results / "read" / place / "baselines.parquet"])
    written = read_predictions([tiny_run.results / "write" / place / f"{split}.parquet"])
    return pd.concat([read[read["split"] == split], written])


def share_strict(rows: pd.DataFrame) -> float:
    return sum(rows["token_id"] == rows["label_token_id"]) / len(rows)


def share_caseless(rows: pd.DataFrame) -> float:
    lowered = rows.assign(token=rows["token"].str.lower(), label=rows["label"].str.lower())
    return share_right(lowered)


COUNTS = {"paper": share_right, "strict": share_strict, "paper, case-insensitive": share_caseless}


def guessed(tiny_run, task: str) -> float:
    """How often the commonest label of a query's exemplars is its own."""
    folder = tiny_run.results / "curate" / task
    label = {item.entity: item.label for item in read_items(folder / "test.jsonl")}
    sets = [s for s in read_exemplar_sets(folder / "exemplars.jsonl") if s.split == "test"]
    hits = 0
    for one in sets:
        names = [label[name] for name in one.exemplars]
        hits += max(names, key=names.count) == label[one.query]
    return hits / len(sets)


@pytest.mark.parametrize("item", ["table_3", "table_8"])
def test_every_accuracy_of_a_table_is_recounted_by_both_metrics(tiny_run, item):
    table = pd.read_csv(tiny_run.results / f"tables/{item}.csv")
    ours = table[table["source"] == "ours"]
    rows = {task: predictions(tiny_run, task) for task in TASKS}
    assert len(ours) == {"table_3": 2 * 7, "table_8": 2 * 6}[item]
    for row in ours.to_dict("records"):
        query = row.get("query_modality", "image")
        for task in TASKS:
            if row["method"] == "random":
                assert row[task] == pytest.approx(guessed(tiny_run, task))
                continue
            asked = rows[task]
            chosen = (asked["method"] == row["method"]) & (asked["query_modality"] == query)
            assert chosen.any()
            assert row[task] == pytest.approx(COUNTS[row["metric"]](asked[chosen]))
        assert row["average"] == pytest.approx(sum(row[task] for task in TASKS) / len(TASKS))
        assert row["low"] <= row["average"] <= row["high"]


def test_pairs_are_counted_again_answer_by_answer(tiny_run):
    table = pd.read_csv(tiny_run.results / "tables/table_pairs.csv")
    by_seed = table[table["seed"].notna() & (table["task"] != "all")]
    assert len(by_seed) == 5 * 2 * len(SEEDS) * len(TASKS)  # contrasts, metrics
    for row in by_seed.to_dict("records"):
        asked = predictions(tiny_run, row["task"])
        asked = asked[asked["query_modality"] == row["query_modality"]]
        asked = asked[asked["seed"] == row["seed"]]
        right = {
            name: {
                entity: COUNTS[row["metric"]](answer) == 1
                for entity, answer in asked[asked["method"] == row[name]].groupby("entity")
            }
            for name in ("method", "other")
        }
        pairs = [(right["method"][entity], right["other"][entity]) for entity in right["method"]]
        found = [row[name] for name in ("both", "method_only", "other_only", "neither")]
        kinds = [(True, True), (True, False), (False, True), (False, False)]
        assert found == [pairs.count(kind) for kind in kinds]


def test_the_constant_of_a_task_is_its_best_single_token(tiny_run):
    table = pd.read_csv(tiny_run.results / "tables/table_dependence.csv")
    for task in TASKS:
        validation = predictions(tiny_run, task, "validation").drop_duplicates("entity")
        test = predictions(tiny_run, task).drop_duplicates("entity")
        for metric, constants in table[table["task"] == task].groupby("metric")["constant"]:
            earned = {}
            for item in validation.itertuples():
                said = {"token": item.label_token, "token_id": item.label_token_id}
                earned[item.label_token_id] = [
                    COUNTS[metric](items.assign(**said)) for items in (validation, test)
                ]
            best = max(sorted(earned), key=lambda number: earned[number][0])
            assert set(constants.round(9)) == {round(earned[best][1], 9)}


def test_every_point_of_figure_8_is_recounted(tiny_run):
    data = pd.read_csv(tiny_run.results / "figures/figure_8.csv")
    rows = {task: predictions(tiny_run, task) for task in TASKS}
    assert len(data) == 3 * (4 + 4 + 1)
    for point in data.to_dict("records"):
        alone = pd.isna(point["samples"])
        name = point["specification"] + ("" if alone else f"_n{point['samples']:.0f}")
        per_seed = []
        for seed in [None] if alone else SEEDS:
            shares = []
            for asked in rows.values():
                chosen = asked["method"] == f"{name}_xpatch"
                if seed is not None:
                    chosen &= asked["seed"] == seed
                shares.append(COUNTS[point["metric"]](asked[chosen]))
            per_seed.append(sum(shares) / len(shares))
        assert point["accuracy"] == pytest.approx(sum(per_seed) / len(per_seed))
        assert (point["least"], point["greatest"]) == pytest.approx((min(per_seed), max(per_seed)))


def test_every_point_of_figure_11_is_recounted(tiny_run):
    data = pd.read_csv(tiny_run.results / "figures/figure_11.csv")
    assert len(data) == len(TASKS) * (LAYERS + 1)
    for task in TASKS:
        asked = predictions(tiny_run, task, "validation")
        for point in data[data["task"] == task].to_dict("records"):
            chosen = asked[asked["method"] == point["method"]]
            if not pd.isna(point["layer"]):
                chosen = chosen[chosen["layer"] == point["layer"]]
            shares = [share_right(part) for _, part in chosen.groupby("seed")]
            assert len(shares) == len(SEEDS)
            assert point["accuracy"] == pytest.approx(sum(shares) / len(shares))
            assert (point["least"], point["greatest"]) == pytest.approx((min(shares), max(shares)))


def test_pies_and_lines_count_every_exemplar_set_once(tiny_run):
    pies = pd.read_csv(tiny_run.results / "figures/figure_4_all.csv", keep_default_na=False)
    keys = ["task", "specification", "layer"]
    assert (pies.groupby(keys)["count"].sum() == 12).all()
    assert pies.groupby(keys)["share"].sum().to_list() == pytest.approx([1.0] * len(TASKS) * 2 * 8)
    asked = {task: predictions(tiny_run, task) for task in TASKS}
    last = pies[pies["layer"] == LAYERS - 1]
    for (task, name), part in last.groupby(["task", "specification"]):
        rows = asked[task]
        modality = {"text_icl": "text", "image_icl": "image"}[name]
        chosen = (rows["method"] == f"{name}_base") & (rows["query_modality"] == modality)
        assert part.set_index("token_id")["count"].to_dict() == (
            rows[chosen]["token_id"].value_counts().to_dict()
        )


def test_differences_of_the_reproduction_table_are_those_of_the_tables(tiny_run):
    table = pd.read_csv(tiny_run.results / "tables/reproduction.csv")
    accuracy = pd.read_csv(tiny_run.results / "tables/table_3.csv")
    ours = accuracy[accuracy["source"] == "ours"].set_index(["method", "metric"])["average"]
    checked = 0
    for row in table[table["quantity"].str.endswith("image queries")].to_dict("records"):
        left, right = row["quantity"].removesuffix(", image queries").split(" less ")
        names = right.removeprefix("the best of ").split(", ")
        if not {left, *names} <= set(ours.index.get_level_values("method")):
            continue
        best = max(ours[name, row["metric"]] for name in names)
        assert row["ours"] == pytest.approx(ours[left, row["metric"]] - best)
        assert row["low"] <= row["ours"] <= row["high"]
        checked += 1
    assert checked == 2 * 5
    verdicts = {"holds", "does not hold", "undecided", "not measured"}
    assert set(table["verdict"]) <= verdicts
    assert (table["ours"].isna() == (table["verdict"] == "not measured")).all()


def test_captions_have_sample_sizes_and_tables_of_accuracies_both_metrics(tiny_run):
    # What has no samples: it shows examples, sizes of models, or one prompt per task.
    without = {"table_1", "table_5", "table_2_instruction", "figure_3_instruction"}
    for item in MADE:
        kind = "figures" if item.startswith("figure") else "tables"
        caption = (tiny_run.results / kind / f"{item}.md").read_text().split("\n\n")[0]
        if item not in without:
            assert re.search(r"(country-capital|countries \d\.\d\d of) \d+", caption), item
        columns = pd.read_csv(tiny_run.results / kind / f"{item}.csv", nrows=0).columns
        if "average" in columns:
            metrics = set(pd.read_csv(tiny_run.results / kind / f"{item}.csv")["metric"])
            assert {"paper", "strict"} <= metrics, item


@pytest.fixture(scope="module")
def unrendered(tiny_run, tmp_path_factory):
    """The finished experiment without any table or figure; its files are links."""
    folder = tmp_path_factory.mktemp("unrendered") / "checkout"
    shutil.copytree(tiny_run.folder, folder, copy_function=os.link, symlinks=True)
    for name in ("tables", "figures", "site"):
        shutil.rmtree(folder / "results/tiny" / name)
    return Checkout(folder)


def planned_jobs(output: str) -> dict[str, set[str]]:
    """Every planned rule's inputs."""
    found = re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", output, flags=re.MULTILINE)
    return {rule: set(inputs.split(", ")) for rule, inputs in found}


def test_each_item_is_one_job_that_reads_no_other_items_files(unrendered):
    planned = unrendered.tiny("--dry-run")
    assert planned.returncode == 0, planned.stdout[-3000:]
    jobs = planned_jobs(planned.stdout)
    assert set(jobs) == {f"render_{item}" for item in MADE} | {"site", "all"}
    for item in MADE:
        missing = [p for p in jobs[f"render_{item}"] if not (unrendered.folder / p).exists()]
        assert missing == [], item


def test_figure_8_alone_is_one_job(unrendered):
    planned = unrendered.tiny("figure_8", "--dry-run")
    assert planned.returncode == 0, planned.stdout[-3000:]
    assert set(planned_jobs(planned.stdout)) == {"render_figure_8", "figure_8"}


def test_every_latex_table_compiles(tiny_run, tmp_path):
    need(["pdflatex"], ["texlive-latex-base", "texlive-latex-recommended"])
    tables = sorted((tiny_run.results / "tables").glob("*.tex"))
    inputs = "\n".join(rf"\input{{{path}}}\clearpage" for path in tables)
    named = [re.match(r"% needs \\usepackage\{(.+)\}\n", path.read_text()) for path in tables]
    packages = ",".join(sorted({name for found in named for name in found.group(1).split(",")}))
    text = "\n".join(
        [
            r"\documentclass{article}",
            rf"\usepackage{{{packages}}}",
            r"\usepackage[T1]{fontenc}",
            r"\begin{document}",
            inputs,
            r"\end{document}",
        ]
    )
    (tmp_path / "all.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-halt-on-error", f"-output-directory={tmp_path}", tmp_path / "all.tex"],
        cwd=tiny_run.folder,
        capture_output=True,
        check=False,
    )
    log = (tmp_path / "all.log").read_text(errors="replace")
    assert done.returncode == 0, log[-3000:]
    pages = int(re.search(r"Output written on .*\((\d+) pages", log.replace("\n", "")).group(1))
    assert pages >= len(tables)
