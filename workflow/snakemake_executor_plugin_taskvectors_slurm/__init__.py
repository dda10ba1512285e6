"""`executor: taskvectors-slurm`: Snakemake finds it by this package's name.

It takes the options of snakemake-executor-plugin-slurm (`--slurm-...`) and has none of its own.
"""

from snakemake_executor_plugin_slurm import common_settings

from taskvectors.cluster.executor import SlurmExecutor as Executor

__all__ = ["Executor", "common_settings"]
