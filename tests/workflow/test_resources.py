"""What jobs ask for, on a cluster and on a workstation; nothing of the experiment is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taskvectors.study.config import read_models

PAPER = ("--config", "experiment=paper", 'wikipedia={contact: "A B <a@example.org>"}')
ON_A_CLUSTER = ("--dry-run", "--profile", "slurm", *PAPER)
GPU_RULES = {"read", "decode", "write_validation", "write_test"}


@pytest.fixture(scope="module")
def plan(pristine) -> str:
    """The dry run of the paper's whole grid under the profile for Slurm."""
    planned = pristine.snakemake(*ON_A_CLUSTER)
    assert planned.returncode == 0, planned.stdout
    return planned.stdout


def jobs_of(plan: str) -> list[tuple[str, str]]:
    """(rule, its printed lines) for every job of a dry run."""
    parts = re.split(r"^ *(?:local)?rule (\w+):$", plan.split("Job stats:")[1], flags=re.MULTILINE)
    return list(zip(parts[1::2], parts[2::2], strict=True))


def local_rules(folder) -> set[str]:
    """Rules that run where Snakemake does; those in a loop by what their names begin with."""
    found, made_from = set(), []
    for path in (folder / "workflow/rules").glob("*.smk"):
        for block in re.split(r"^ *rule\b", path.read_text(), flags=re.MULTILINE)[1:]:
            name = re.search(r"^ (\w+):", block) or re.search(r'name:\s+f"(\w+)\{', block)
            if name and "localrule: True" in block:
                found.add(name[1])
        made_from += re.findall(r"^use rule (\w+) as (\w+)", path.read_text(), flags=re.MULTILINE)
    found |= {made for base, made in made_from if base in found}
    return found | {"run_config", "all"}


# How many submissions the profile makes of a rule's jobs.
GROUPS = {"decode": 6, "transfer_validation": 1, "transfer_test": 1}


def test_the_papers_grid_is_at_most_80_cluster_jobs(plan, pristine):
    local = tuple(local_rules(pristine.folder))
    rules = [rule for rule, _ in jobs_of(plan) if not rule.startswith(local)]
    grouped = {name: rules.count(name) for name in GROUPS}
    assert grouped == {"decode": 18, "transfer_validation": 12, "transfer_test": 12}
    groups = re.findall(r"^\[.*\] Group job (\w+)", plan, flags=re.MULTILINE)
    assert {name: groups.count(name) for name in GROUPS} == GROUPS
    assert 0 < len(rules) - sum(grouped.values()) + len(groups) <= 80
    assert not {"fetch_model", "collect_wikipedia", "curate"} & set(rules)


def test_one_table_says_what_each_rule_asks_slurm_for(plan):
    table = re.search(r"^Jobs for Slurm:\nrule .*\n-.*\n((?:.+\n)+)", plan, flags=re.MULTILINE)[1]
    rows = [re.split(r"  +", line.strip()) for line in table.splitlines()]
    models = GPU_RULES | {"qualitative", "transfer_validation", "transfer_test"}
    assert {row[0] for row in rows[:-1]} == models  # nothing that a submitting host does itself
    assert {row[1] for row in rows[:-1]} == {"gpu"}
    asked = {row[0]: row[2:] for row in rows}
    assert asked["read"] == ["30", "1", "20024-26966", "131-171"]
    assert rows[-1] == ["total", "77"]
    page = (Path(__file__).resolve().parents[2] / "docs/cluster.md").read_text(encoding="utf-8")
    assert f"(three models, six tasks) is {rows[-1][1]} jobs" in page


def test_an_account_that_was_not_edited_is_named_before_the_jobs(checkout, monkeypatch):
    monkeypatch.setenv("SLURM_CONF", "/nowhere")  # of a cluster that other tests have running
    before = checkout.snakemake(*ON_A_CLUSTER).stdout.split("Job stats:")[0]
    assert "slurm/config.yaml has slurm_account: lab, which is the example's; edit it" in before
    profile = checkout.folder / "slurm/config.yaml"
    profile.write_text(profile.read_text().replace("slurm_account: lab", "slurm_account: mine"))
    assert "slurm_account" not in checkout.snakemake(*ON_A_CLUSTER).stdout.split("Job stats:")[0]


def test_a_dry_run_here_has_no_table_for_slurm(checkout):
    assert "Slurm" not in checkout.snakemake("--dry-run").stdout


def test_gpu_jobs_ask_for_their_models_weights_and_one_gpu(plan, pristine):
    models = read_models(pristine.folder / "resources/models.yaml")
    asked = {}
    for rule, lines in jobs_of(plan):
        if rule in GPU_RULES:
            model = re.search(r"model=([^,\n]+)", lines)[1]
            resources = re.search(r"resources: (.*)", lines)[1]
            given = dict(re.findall(r"(\w+)=(\d+)", resources))
            assert given["gpu"] == "1"
            assert int(given["mem_mb"]) > models[model].weight_megabytes
            asked[model] = (int(given["mem_mb"]), int(given["runtime"]))
    assert asked["llava-v1.5"] < asked["idefics2"] < asked["mantis-fuyu"]


def test_every_job_is_measured(plan):
    for rule, lines in jobs_of(plan):
        if rule not in {"all", "run_config"}:
            assert f"benchmark: results/paper/benchmarks/{rule}/" in lines


@pytest.mark.parametrize(("gpus", "together"), [((), False), (("--resources", "gpu=2"), True)])
def test_a_workstation_runs_as_many_gpu_jobs_at_a_time_as_it_has_gpus(checkout, gpus, together):
    with (checkout.folder / "Snakefile").open("a") as snakefile:
        snakefile.write(
            "\n\nrule busy:\n    output:\n        'busy{n}'\n    resources:\n        gpu=1,\n"
            "    shell:\n        'date +%s.%N > {output}; sleep 3; date +%s.%N >> {output}'\n"
        )
    done = checkout.snakemake("busy1", "busy2", "--cores", "8", *gpus)
    assert done.returncode == 0, done.stdout
    spans = [
        [float(line) for line in (checkout.folder / name).read_text().split()]
        for name in ("busy1", "busy2")
    ]
    (_, first_ends), (second_begins, _) = sorted(spans)
    assert (second_begins < first_ends) == together
