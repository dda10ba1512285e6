"""A dry run with the profile for Slurm: what the jobs will ask for, in one table."""

import logging
from collections import defaultdict
from typing import Any

from snakemake.executors import dryrun
from snakemake.logging import logger
from snakemake_executor_plugin_slurm.partitions import get_best_partition
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry
from tabulate import tabulate

from taskvectors.cluster.options import slurm_options
from taskvectors.cluster.profile import partitions_of, submitted, warnings_of

silent = logging.getLogger("taskvectors.cluster")  # the plugin says for each job what fits it


def install() -> None:
    """Have Snakemake take this dry run for its own."""
    ExecutorPluginRegistry().get_plugin("dryrun").executor = DryRunExecutor


class DryRunExecutor(dryrun.Executor):
    """Snakemake's dry run; with the profile for Slurm, with a table of what will be asked for."""

    def __init__(self, workflow: Any, log: Any) -> None:
        super().__init__(workflow, log)
        self._submitted: list[Any] = []
        self._slurm = slurm_options()
        if self._slurm:
            jobs = filter(submitted(workflow), workflow.dag.needrun_jobs())
            for warning in warnings_of(jobs, self._slurm):
                logger.warning(warning)

    def run_jobs(self, jobs: list[Any]) -> None:
        self._submitted += filter(submitted(self.workflow), jobs)
        super().run_jobs(jobs)

    def shutdown(self) -> None:
        if self._slurm and self._submitted:
            logger.info(f"Jobs for Slurm:\n{table(self._submitted, partitions_of(self._slurm))}\n")


def table(jobs: list[Any], partitions: list[Any]) -> str:
    """Partition, GPUs, memory and minutes by rule, from the least to the most."""
    rows: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for job in jobs:
        given = job.resources.get("slurm_partition")
        partition = given or get_best_partition(partitions, job, silent)
        rules = {part.rule.name for part in (job.jobs if job.is_group() else [job])}
        rows[", ".join(sorted(rules)), str(partition or "Slurm's default")].append(job.resources)
    lines = [
        [*key, len(asked), *(_range(asked, name) for name in ("gpu", "mem_mb", "runtime"))]
        for key, asked in sorted(rows.items())
    ]
    lines.append(["total", "", len(jobs), "", "", ""])
    headers = ["rule", "partition", "jobs", "GPUs", "memory, MB", "minutes"]
    return tabulate(lines, headers, colalign=("left", "left", *["right"] * 4))


def _range(asked: list[Any], name: str) -> str:
    values = sorted({int(resources.get(name) or 0) for resources in asked})
    return "-".join(str(value) for value in dict.fromkeys((values[0], values[-1])))
