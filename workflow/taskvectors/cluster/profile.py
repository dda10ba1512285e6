"""What the profile makes of the jobs: checks of the lines to edit, and a dry run's table."""

import contextlib
import getpass
import io
import logging
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from snakemake.cli import parse_args
from snakemake.executors import dryrun
from snakemake.logging import logger
from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from tabulate import tabulate

from taskvectors.cluster.queue import NoAnswerError, ask

EXAMPLE_ACCOUNT = "lab"
silent = logging.getLogger("taskvectors.cluster")  # the plugin says for each job what fits it


def submitted(workflow: Any) -> Callable[[Any], bool]:
    """Whether a job goes to Slurm; in a dry run Snakemake takes all jobs for local ones."""

    def is_submitted(job: Any) -> bool:
        return job.is_group() or not (job.rule.norun or job.rule.name in workflow._localrules)

    return is_submitted


def warnings_of(jobs: Iterable[Any], settings: Any) -> list[str]:
    """What is wrong with the account and partitions of the profile, as far as it can be told."""
    found = []
    accounts = {str(job.resources.get("slurm_account") or "") for job in jobs} - {""}
    user = getpass.getuser()
    mine = _listed("sacctmgr", "-n", "-P", "show", "assoc", f"user={user}", "format=account")
    for account in sorted(accounts):
        where = f"slurm/config.yaml has slurm_account: {account}, which"
        if mine and account.lower() not in mine:
            found.append(f"{where} is none of your accounts ({', '.join(sorted(mine))}); edit it.")
        elif not mine and account == EXAMPLE_ACCOUNT:
            found.append(f"{where} is the example's; edit it, where your cluster has accounts.")
    there = _listed("sinfo", "--noheader", "--format=%R")
    for partition in _partitions(settings) if there else []:
        if partition.name.lower() not in there:
            found.append(
                f"{settings.partition_config} has the partition {partition.name}, which this "
                f"cluster has not ({', '.join(sorted(there))}); edit it."
            )
    return found


def _listed(*command: str) -> set[str]:
    """The names that a command of Slurm lists; none where it cannot."""
    try:
        return set(ask(*command).lower().split())
    except NoAnswerError:
        return set()


def _partitions(settings: Any) -> list[Any]:
    return read_partition_file(settings.partition_config) if settings.partition_config else []


class DryRunExecutor(dryrun.Executor):
    """Snakemake's dry run; with the profile for Slurm, with a table of what will be asked for."""

    def __init__(self, workflow: Any, log: Any) -> None:
        super().__init__(workflow, log)
        self._submitted: list[Any] = []
        self._slurm = _slurm_settings()
        if self._slurm:
            jobs = filter(submitted(workflow), workflow.dag.needrun_jobs())
            for warning in warnings_of(jobs, self._slurm):
                logger.warning(warning)

    def run_jobs(self, jobs: list[Any]) -> None:
        self._submitted += filter(submitted(self.workflow), jobs)
        super().run_jobs(jobs)

    def shutdown(self) -> None:
        if self._slurm and self._submitted:
            logger.info(f"Jobs for Slurm:\n{table(self._submitted, _partitions(self._slurm))}\n")


def _slurm_settings() -> Any:
    """The settings of the executor that a dry run stands for, if that is Slurm's.

    Snakemake does not hand them to a dry run.
    """
    if "snakemake" not in sys.argv[0]:
        return None  # called by another program, not from a command line
    with contextlib.redirect_stderr(io.StringIO()):
        _, given = parse_args(sys.argv[1:])
    known = ExecutorPluginRegistry().get_plugin("slurm")
    return known.get_settings(given) if given.executor == "slurm" else None


def table(jobs: list[Any], partitions: list[Any]) -> str:
    """Partition, GPUs, memory and minutes by rule or group, from the least to the most."""
    rows: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for job in jobs:
        given = job.resources.get("slurm_partition")
        partition = given or get_best_partition(partitions, job, silent)
        rows[job.name, str(partition or "Slurm's default")].append(job.resources)
    lines = [
        [*key, len(asked), *(_range(asked, name) for name in ("gpu", "mem_mb", "runtime"))]
        for key, asked in sorted(rows.items())
    ]
    headers = ["rule or group", "partition", "jobs", "GPUs", "memory, MB", "minutes"]
    return tabulate(lines, headers, colalign=("left", "left", *["right"] * 4))


def _range(asked: list[Any], name: str) -> str:
    values = sorted({int(resources.get(name) or 0) for resources in asked})
    return "-".join(str(value) for value in dict.fromkeys((values[0], values[-1])))
