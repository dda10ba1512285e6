"""The profile for Slurm on bad days: tiny jobs, and a real cluster whose daemons and jobs fail.

docs/cluster.md says how many faults are survived; the last test holds it to these.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from slurm.cluster import Cluster, what_is_missing

# Skipping the whole file makes it one line of the summary. In CI the tests run, or fail.
if what_is_missing() and not os.environ.get("CI"):
    pytest.skip(f"no Slurm: {what_is_missing()}", allow_module_level=True)

pytestmark = pytest.mark.workflow
ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "tests/servers/slurm"
AWAY = 12  # seconds
# Faults, and how often a job is tried when Slurm itself or Snakemake tries it again.
TRIES = {
    "cancelled": 2,
    "refused": 1,
    "preempted_for_good": 2,
    "preempted": 2,
    "away": 1,
    "hung": 1,
    "node_died": 2,
    "node_died_for_good": 2,
    "forgotten": 2,
}
STOPPED = "day/cancelled"  # what a Snakemake makes that is stopped
STOPS = ("Ctrl-C", "SIGTERM", "kill -9", "Ctrl-C, controller away")
REFUSED = "Required partition not available"
KINDS = {False: "without slurmdbd", True: "with slurmdbd"}


@dataclass
class Site:
    """A folder with the jobs of faults.smk and the repository's profile."""

    folder: Path
    cluster: Cluster

    def __post_init__(self) -> None:
        shutil.copytree(ROOT / "slurm", self.folder / "slurm")
        shutil.copy(HERE / "faults.smk", self.folder / "Snakefile")

    def start(self, *arguments: str, **environment: str) -> Site:
        """Start Snakemake; the log goes on where there is one."""
        paths = os.pathsep.join([str(HERE / "probe"), str(ROOT / "workflow")])
        with (self.folder / "snakemake.log").open("a") as log:
            self.running = subprocess.Popen(
                [
                    *(sys.executable, "-m", "snakemake", "--cores", "8", "--profile", "slurm"),
                    *("--slurm-init-seconds-before-status-checks", "1", *arguments),
                ],
                cwd=self.folder,
                env={**self.cluster.environment, "PYTHONPATH": paths, **environment},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def ends(self, seconds: float = 120) -> int:
        """How Snakemake ends, which it must."""
        try:
            return self.running.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"runs after {seconds} s\n{self.said[-5000:]}") from None

    def ends_by(self, how: signal.Signals) -> bool:
        """Whether a signal ends Snakemake with an error, and nothing of it is left in the queue."""
        self.running.send_signal(how)
        name = re.search(r"SLURM run ID: (\S+)", self.said)[1]
        failed = self.ends(40) != 0
        self.wait_for(lambda: not self.cluster.ask("squeue", "-h", f"--name={name}"))
        return failed

    def begins_again(self) -> bool:
        """Whether the same command cancels the job that the last Snakemake left, and does it."""
        assert self.start("--unlock").ends() == 0, self.said
        assert self.start(STOPPED).ends() == 0, self.said[-5000:]
        return "jobs that nobody waits for are in the queue" in self.said and self.survived(
            "cancelled", 2
        )

    def wait_for(self, what: Callable[[], bool], seconds: float = 90) -> None:
        until = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < until, f"nothing in {seconds} s\n{self.said[-5000:]}"
            time.sleep(0.1)

    def wait_for_job(self, *faults: str) -> None:
        """Wait until jobs are at work for the first time."""
        self.wait_for(lambda: set(faults) <= set(self.tries))

    def wait_for_words(self, words: str) -> None:
        self.wait_for(lambda: words in self.said)

    @property
    def said(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    @property
    def tries(self) -> dict[str, int]:
        path = self.folder / "tries.log"
        lines = path.read_text().splitlines() if path.exists() else []
        return Counter(line.split()[0] for line in lines)

    def job(self, fault: str) -> str:
        """Slurm's id of a job's first try."""
        return re.search(rf"^{fault} (\d+)$", (self.folder / "tries.log").read_text(), re.M)[1]

    def begin_now(self, fault: str) -> None:
        """Spare a job that Slurm put back into the queue its two minutes of waiting there."""
        self.cluster.ask("scontrol", "update", f"jobid={self.job(fault)}", "starttime=now")

    def survived(self, fault: str, tries: int) -> bool:
        """Whether a job is done after so many tries, and was never at work twice at once."""
        made = self.folder / "day" / fault
        whole = made.exists() and made.read_text() == "whole\n"
        return whole and self.tries[fault] == tries and not (self.folder / "twice.log").exists()


@pytest.fixture(scope="module", params=KINDS, ids=KINDS.values())
def cluster(request) -> Iterator[Cluster]:
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))  # a short name, as sockets need
    folder.chmod(0o755)
    cluster = Cluster(folder, accounting=request.param)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def survived(cluster, tmp_path_factory) -> dict[str, bool]:
    """Every fault, and whether it was survived: one bad day, and Snakemakes that are stopped.

    Those are stopped without accounting only, of which nothing there makes use.
    """

    def started(name: str, *arguments: str, **environment: str) -> Site:
        folder = tmp_path_factory.mktemp(name.replace(" ", ""))
        return Site(folder, cluster).start(*arguments, **environment)

    day = started("day", "day")
    refused = started("refused", "day/refused", "--retries=0", PROBE_PATIENCE="3")
    stopped = {} if cluster.accounting else {name: started(name, STOPPED) for name in STOPS}
    cancel_and_preempt(day)
    failed = refused.ends() != 0
    message = re.search(f"message: SLURM sbatch failed.*{REFUSED}", refused.said)
    found = {"refused for ever": failed and message is not None}
    allow_what_was_refused(day)
    for site in stopped.values():
        site.wait_for_job("cancelled")
    if stopped:
        found["Ctrl-C"] = stopped["Ctrl-C"].ends_by(signal.SIGINT)
        found["SIGTERM"] = stopped["SIGTERM"].ends_by(signal.SIGTERM)
        stopped["kill -9"].running.kill()
        found["kill -9"] = stopped["kill -9"].begins_again()
    day.wait_for_job("away")
    cluster.end("slurmctld")
    if stopped:
        stopped["Ctrl-C, controller away"].running.send_signal(signal.SIGINT)
        stopped["Ctrl-C, controller away"].ends(60)
    time.sleep(AWAY)
    cluster.begin("slurmctld")
    if stopped:
        found["Ctrl-C, controller away"] = stopped["Ctrl-C, controller away"].begins_again()
    let_the_controller_hang(day)
    lose_node_and_state(day)
    assert day.ends() == 0, day.said[-5000:]
    return found | {fault: day.survived(fault, tries) for fault, tries in TRIES.items()}


def cancel_and_preempt(day: Site) -> None:
    day.wait_for_job("cancelled", "preempted_for_good", "preempted")
    day.cluster.ask("scancel", day.job("cancelled"))
    all_gpus = ("sbatch", "-p", "urgent", "--gpus=2", "--mem=100", "--output=/dev/null")
    day.cluster.ask(*all_gpus, "--wrap=true")


def allow_what_was_refused(day: Site) -> None:
    day.wait_for_words(REFUSED)
    day.cluster.ask("scontrol", "update", "partitionname=drained", "state=up")
    day.wait_for_words("PENDING (BeginTime)")
    day.begin_now("preempted")


def let_the_controller_hang(day: Site) -> None:
    """Just when a job is submitted: sbatch gives up, and the controller then takes the job."""
    day.wait_for_words("rule ready")
    day.cluster.daemon("slurmctld").send_signal(signal.SIGSTOP)
    (day.folder / "go").touch()
    time.sleep(AWAY)
    day.cluster.daemon("slurmctld").send_signal(signal.SIGCONT)


def lose_node_and_state(day: Site) -> None:
    day.wait_for_job("node_died", "node_died_for_good")
    day.cluster.lose_node()
    day.begin_now("node_died")
    day.wait_for_job("forgotten")
    day.cluster.end("slurmctld")
    day.cluster.begin("slurmctld", "-c")


def test_every_fault_is_survived(survived):
    assert [fault for fault, well in survived.items() if not well] == []


def test_the_page_says_how_many(survived, cluster):
    version = cluster.ask("sinfo", "--version").split()[-1]  # "slurm-wlm 22.05.8"
    line = f"{sum(survived.values())} of {len(survived)} {KINDS[cluster.accounting]}"
    page = (ROOT / "docs/cluster.md").read_text(encoding="utf-8")
    assert f"Slurm {version}" in page
    assert line in page
