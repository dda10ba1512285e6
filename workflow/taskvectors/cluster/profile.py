"""Checks of what a person edits in the profile: account and partitions."""

import getpass
from collections.abc import Callable, Iterable
from typing import Any

from snakemake_executor_plugin_slurm.partitions import read_partition_file

from taskvectors.cluster.queue import NoAnswerError, ask

EXAMPLE_ACCOUNT = "lab"


def submitted(workflow: Any) -> Callable[[Any], bool]:
    """Whether a job goes to Slurm; in a dry run Snakemake takes all jobs for local ones."""

    def is_submitted(job: Any) -> bool:
        return job.is_group() or not (job.rule.norun or job.rule.name in workflow._localrules)

    return is_submitted


def warnings_of(jobs: Iterable[Any], options: Any) -> list[str]:
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
    for partition in partitions_of(options) if there else []:
        if partition.name.lower() not in there:
            found.append(
                f"{options.partition_config} has the partition {partition.name}, which this "
                f"cluster has not ({', '.join(sorted(there))}); edit it."
            )
    return found


def _listed(*command: str) -> set[str]:
    """The names that a command of Slurm lists; none where it cannot."""
    try:
        return set(ask(*command).lower().split())
    except NoAnswerError:
        return set()


def partitions_of(options: Any) -> list[Any]:
    """The partitions that the profile names, with their limits."""
    return read_partition_file(options.partition_config) if options.partition_config else []
