"""The options of Slurm's executor, read by Snakemake's own parser."""

import contextlib
import io
import sys
from typing import Any

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

EXECUTOR = "taskvectors-slurm"


def slurm_options() -> Any:
    """What the command line and its profile give to snakemake-executor-plugin-slurm.

    None where the jobs are not for Slurm. Snakemake hands no options of one executor to another,
    such as a dry run.
    """
    from snakemake.cli import parse_args  # which imports the executors

    if "snakemake" not in sys.argv[0]:
        return None  # called by a program that has a command line of its own
    with contextlib.redirect_stderr(io.StringIO()):  # Snakemake said before what profile it reads
        _, given = parse_args(sys.argv[1:])
    plugin = ExecutorPluginRegistry().get_plugin("slurm")
    return plugin.get_settings(given) if given.executor == EXECUTOR else None
