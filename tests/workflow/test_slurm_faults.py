"""The profile for Slurm on bad days: tiny jobs, and a real cluster whose daemons and jobs fail.

docs/cluster.md says how many faults were survived; the last test holds it to these.
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


@dataclass
class Site:
    """A folder with the jobs of faults.smk and the repository's profile."""

    folder: Path
    cluster: Cluster

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """Start Snakemake; the log goes on where there is one."""
        paths = os.pathsep.join([str(HERE / "probe"), str(ROOT / "workflow")])
        with (self.folder / "snakemake.log").open("a") as log:
            return subprocess.Popen(
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

    @property
    def said(self) -> str:
        return (self.folder / "snakemake.log").read_text()

    @property
    def tries(self) -> Counter[str]:
        path = self.folder / "tries.log"
        return Counter(line.split()[0] for line in path.read_text().splitlines() if path.exists())

    def job(self, fault: str) -> str:
        """Slurm's id of the first try."""
        return re.search(rf"^{fault} (\d+)$", (self.folder / "tries.log").read_text(), re.M)[1]

    def running(self, *faults: str) -> Callable[[], bool]:
        return lambda: (self.folder / "tries.log").exists() and set(faults) <= set(self.tries)

    def queued(self) -> str:
        return self.cluster.ask("squeue", "-h")


def wait_for(what: Callable[[], bool], site: Site, seconds: float = 90) -> None:
    until = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < until, f"nothing within {seconds:.0f} s\n{site.said[-5000:]}"
        time.sleep(0.1)


@pytest.fixture(scope="module", params=[False, True], ids=["alone", "slurmdbd"])
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


@pytest.fixture
def site(cluster, tmp_path) -> Site:
    shutil.copy(HERE / "faults.smk", tmp_path / "Snakefile")
    shutil.copytree(ROOT / "slurm", tmp_path / "slurm")
    return Site(tmp_path, cluster)


def befall(site: Site) -> None:
    """Let every fault happen to the job of its name."""
    cluster = site.cluster
    cluster.ask("scontrol", "update", "partitionname=drained", "state=drain")
    wait_for(site.running("cancelled", "preempted_for_good", "preempted"), site)
    cluster.ask("scancel", site.job("cancelled"))
    cluster.ask("sbatch", "-p", "urgent", "--gpus=2", "--mem=100", "--wrap", "true", "-o/dev/null")
    wait_for(lambda: "Required partition not available" in site.said, site)
    cluster.ask("scontrol", "update", "partitionname=drained", "state=up")
    wait_for(lambda: "PENDING (BeginTime)" in site.said, site)
    _begin_now(site, "preempted")

    wait_for(site.running("away"), site)
    cluster.end("slurmctld")
    time.sleep(AWAY)
    cluster.begin("slurmctld")

    wait_for((site.folder / "day/away").exists, site)
    controller = cluster.daemon("slurmctld")
    wait_for(lambda: "rule ready" in site.said, site)
    controller.send_signal(signal.SIGSTOP)  # sbatch gives up, and the controller takes the job
    (site.folder / "go").touch()
    time.sleep(AWAY)
    controller.send_signal(signal.SIGCONT)

    wait_for(site.running("node_died", "node_died_for_good"), site)
    cluster.lose_node()
    _begin_now(site, "node_died")

    wait_for(site.running("forgotten"), site)
    cluster.end("slurmctld")
    cluster.begin("slurmctld", "-c")


def _begin_now(site: Site, fault: str) -> None:
    """Spare a job that Slurm put back into the queue its two minutes of waiting there."""
    site.cluster.ask("scontrol", "update", f"jobid={site.job(fault)}", "starttime=now")


def test_a_bad_day(site):
    running = site.start("--", "day")
    befall(site)
    assert running.wait(120) == 0, site.said[-5000:]
    whole = {f for f in TRIES if (site.folder / "day" / f).read_text() == "whole\n"}
    assert whole == set(TRIES)
    assert dict(site.tries) == TRIES
    assert not (site.folder / "twice.log").exists(), (site.folder / "twice.log").read_text()
