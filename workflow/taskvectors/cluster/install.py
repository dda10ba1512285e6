"""Snakemake runs the workflow's own executors in place of those that they are made from.

A plugin of another name would take the options `--slurm-...` and do nothing with them, and
Snakemake would find it only where this package is installed.
"""

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from taskvectors.cluster.executor import SlurmExecutor
from taskvectors.cluster.profile import DryRunExecutor


def install_executors() -> None:
    """For `executor: slurm`, and for a dry run."""
    registry = ExecutorPluginRegistry()
    registry.get_plugin("slurm").executor = SlurmExecutor
    registry.get_plugin("dryrun").executor = DryRunExecutor
