"""The workflow on a real Slurm: what is submitted, where it runs, and what happens when it stops.

The big run begins with the images and the prepared models of ``tiny_run``, so that read and
write, which Slurm is for, are what it does.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest
from slurm.cluster import Cluster, what_is_missing

from taskvectors.cluster import queue

# Skipping the whole file makes it one line of the summary. In CI the tests run, or fail.
if what_is_missing() and not os.environ.get("CI"):
    pytest.skip(f"no Slurm: {what_is_missing()}", allow_module_level=True)

pytestmark = pytest.mark.workflow
HERE = Path(__file__).resolve().parents[1] / "servers/slurm"
TESTED = "results/tiny/write/embedded/spaced/food-color/test.parquet"
PREPARED = ("collect", "curate", "prepare")
PREDICTIONS = [
    f"{stage}/embedded/spaced/{task}/{name}.parquet"
    for task in ("country-capital", "food-color")
    for stage, name in (("read", "baselines"), ("write", "validation"), ("write", "test"))
]


@dataclass
class Site:
    """A checkout on a cluster, and the notes of the commands that ran."""

    folder: Path
    cluster: Cluster

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start Snakemake with the repository's profile."""
        environment = {
            **self.cluster.environment,
            "PROBE_FOLDER": str(self.folder / "notes"),
            "PYTHONPATH": os.pathsep.join([str(HERE / "probe"), str(self.folder / "workflow")]),
        }
        with (self.folder / "snakemake.log").open("w") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, "-m", "snakemake", "--cores", "8", "--profile", "slurm"),
                    *("--slurm-init-seconds-before-status-checks", "1", *arguments),
                ],
                cwd=self.folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> int:
        """The same, until it ends."""
        return self.start(*arguments).wait(600)

    @property
    def said(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    def notes(self, module: str) -> list[dict]:
        """What the commands of a module were started with, in their order."""
        paths = sorted((self.folder / "notes").glob("*.json"))
        found = [json.loads(path.read_text()) for path in paths]
        return [note for note in found if note["command"].startswith(f"-m {module} ")]


def wait_for(
    what: Callable[[], bool], running: subprocess.Popen[str], seconds: float = 240
) -> None:
    """Wait until ``what``, while Snakemake runs."""
    until = time.monotonic() + seconds
    while not what():
        assert running.poll() is None, "Snakemake ended too early"
        assert time.monotonic() < until, f"nothing within {seconds:.0f} s"
        time.sleep(0.2)


def copied(tiny_run, folder: Path, stages: tuple[str, ...] = ()) -> Path:
    """The finished cut-down experiment, of its results only some stages."""
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("results", "logs"))
    for stage in (*stages, *(f"records/{stage}" for stage in stages)):
        source = tiny_run.results / stage
        shutil.copytree(source, folder / "results/tiny" / stage, copy_function=shutil.copy2)
    (folder / "notes").mkdir()
    with (folder / "Snakefile").open("a") as snakefile:
        snakefile.write((HERE / "trials.smk").read_text())
    return folder


def cluster_in(accounting: bool) -> Iterator[Cluster]:
    """A cluster in a folder with a short name, as sockets need; stopped in any case."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    cluster = Cluster(folder, accounting)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    yield from cluster_in(accounting=False)


@dataclass
class Trials:
    """A job that runs out of its one minute, one that wants more memory than it asked for, one
    that was cancelled, and one that Slurm took off its node, while others run."""

    site: Site
    running: subprocess.Popen[str]

    @property
    def attempts(self) -> list[str]:
        """Job, its attempt's minutes, megabytes or attempts before it, and Slurm's number of it."""
        path = self.site.folder / "trials.log"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(scope="module")
def trials(tiny_run, cluster, tmp_path_factory) -> Trials:
    """Started, and what befalls the jobs done to them; they recover while `finished` is made."""
    site = Site(copied(tiny_run, tmp_path_factory.mktemp("trials") / "checkout"), cluster)
    began = Trials(site, site.start("--", "trials"))

    def first_attempts() -> dict[str, str]:
        return {name: job for name, _, job in map(str.split, began.attempts)}

    wait_for(lambda: {"cancelled", "lost"} <= set(first_attempts()), began.running)
    cluster.ask("scancel", first_attempts()["cancelled"])
    # What Slurm itself does with a job whose node fails, or that another one preempts.
    cluster.ask("scontrol", "requeue", first_attempts()["lost"])
    return began


@pytest.fixture(scope="module")
def finished(tiny_run, cluster, trials, tmp_path_factory) -> Site:
    """The cut-down experiment through sbatch, its Snakemake killed in the middle and started again.

    The embedded model asks for a GPU here, which it does not need.
    """
    site = Site(copied(tiny_run, tmp_path_factory.mktemp("site") / "checkout", PREPARED), cluster)
    models = site.folder / "resources/models.yaml"
    models.write_text(models.read_text().replace("gpus: 0", "gpus: 1", 1))
    wanted = ("--configfile", "tests/workflow/tiny.yaml", "--", "table_3", "figure_3")
    running = site.start(*wanted)
    wait_for(lambda: site.said.count("(Rule: read)") == 3, running)
    wait_for(lambda: bool(site.notes("taskvectors.write")), running)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    name = re.search(r"SLURM run ID: (\S+)", site.said)[1]
    cluster.ask("scancel", f"--name={name}")
    assert site.run("--unlock", "--configfile", "tests/workflow/tiny.yaml") == 0, site.said
    assert site.run(*wanted) == 0, site.said[-6000:]
    return site


def test_predictions_are_those_of_a_local_run(tiny_run, finished):
    for name in PREDICTIONS:
        ours = pd.read_parquet(finished.folder / "results/tiny" / name)
        locally = pd.read_parquet(tiny_run.results / name)
        pd.testing.assert_frame_equal(ours, locally, rtol=1e-4)


def test_jobs_with_a_model_run_on_the_gpu_partition_and_without_a_hub(finished):
    for module in ("taskvectors.read", "taskvectors.score.decode", "taskvectors.write"):
        for note in finished.notes(module):
            assert note["SLURM_JOB_PARTITION"] == "gpu"
            assert note["CUDA_VISIBLE_DEVICES"] in {"0", "1"}
            assert note["HF_HUB_OFFLINE"] == "1"
    both = {note["CUDA_VISIBLE_DEVICES"] for note in finished.notes("taskvectors.read")}
    assert both == {"0", "1"}  # side by side: the limit of a workstation does not hold here


def test_small_jobs_are_submitted_together_or_not_at_all(finished):
    decoded = finished.notes("taskvectors.score.decode")
    # All tasks in one job, whether or not one had begun before the kill.
    assert len({note["SLURM_JOB_ID"] for note in decoded[-2:]}) == 1
    small = [*finished.notes("taskvectors.average"), *finished.notes("taskvectors.score.accuracy")]
    assert small
    assert {note["SLURM_JOB_ID"] for note in small} == {None}  # where Snakemake runs


def test_a_killed_snakemake_resumes_without_doing_finished_work_again(finished):
    assert len(finished.notes("taskvectors.read")) == 3  # one for each task
    assert not list((finished.folder / "results").rglob("*.partial"))


def test_a_job_that_was_stopped_is_tried_again_with_more(trials, finished):
    """Cancelled, out of time, out of memory, or off its node: the second attempt is whole."""
    assert trials.running.wait(400) == 0, trials.site.said[-4000:]
    attempts = [line.rsplit(maxsplit=1)[0] for line in trials.attempts]
    assert sorted(attempts) == [
        *("cancelled 1000", "cancelled 2000", "hungry 1200", "hungry 2400"),
        *("lost 0", "lost 1", "slow 1", "slow 2"),
    ]
    for name in ("cancelled", "hungry", "lost", "slow"):
        assert (trials.site.folder / "trials" / name).read_text() == "whole\n"


def test_a_failing_job_stops_with_the_reason(finished):
    """The model's folder is damaged: the log that Snakemake names has one clear sentence."""
    (finished.folder / "results/tiny/prepare/embedded/config.json").unlink()
    tiny = ("--configfile", "tests/workflow/tiny.yaml")
    assert finished.run("--retries", "0", "--force", *tiny, "--", TESTED) != 0
    assert "Error in rule write_test" in finished.said
    logs = list((finished.folder / "logs/slurm").rglob("rule_write_test/**/*.log"))
    sentence = "error: results/tiny/prepare/embedded/config.json is missing since its folder was"
    assert any(sentence in log.read_text() for log in logs)
    assert any(str(log.relative_to(finished.folder)) in finished.said for log in logs)
    assert not (finished.folder / TESTED).exists()


def test_a_cluster_with_accounting_books_jobs_on_the_account(bookkept, monkeypatch):
    target = bookkept.folder / "trials/ready"
    assert bookkept.run("--", "trials/ready") == 0, bookkept.said
    assert "SLURM_JOB_PARTITION=cpu" in target.read_text()
    kept = bookkept.cluster.ask("sacct", "-X", "-n", "-P", "-o", "account,partition,state")
    assert kept.splitlines()[-1] == "lab|cpu|COMPLETED"
    assert "slurm_account" not in bookkept.said.split("Job stats:")[0]
    # How a job ended that the controller forgot.
    monkeypatch.setenv("SLURM_CONF", bookkept.cluster.environment["SLURM_CONF"])
    job = re.search(r"SLURM_JOB_ID=(\d+)", target.read_text())[1]
    assert queue.accounted(job) == queue.State("COMPLETED")
    assert queue.has_accounting(queue.settings())


def test_an_account_and_a_partition_that_are_not_there_are_named_before_the_jobs(bookkept):
    partitions = bookkept.folder / "slurm/partitions.yaml"
    partitions.write_text(partitions.read_text().replace("cpu:", "fast:"))
    assert bookkept.run("--dry-run", "--default-resources", "slurm_account=physics") == 0
    partitions.write_text(partitions.read_text().replace("fast:", "cpu:"))
    before = bookkept.said.split("Job stats:")[0]
    assert "slurm_account: physics, which is none of your accounts (lab, root)" in before
    assert "slurm/partitions.yaml has the partition fast, which this cluster has not" in before
    assert "partition gpu" not in before


@pytest.fixture(scope="module")
def bookkept(tiny_run, tmp_path_factory) -> Iterator[Site]:
    """A checkout on a cluster with accounting."""
    folder = copied(tiny_run, tmp_path_factory.mktemp("bookkept") / "checkout")
    for cluster in cluster_in(accounting=True):
        yield Site(folder, cluster)
