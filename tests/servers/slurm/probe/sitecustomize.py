"""Notes what every command of the package is started with, and has Snakemake look at the queue
every other second; Python imports this by itself.
"""

import json
import os
import sys
import time
from pathlib import Path

NOTED = ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_ID", "SLURM_JOB_PARTITION", "HF_HUB_OFFLINE")
command = " ".join(sys.orig_argv[1:])
if "PROBE_FOLDER" in os.environ and command.startswith("-m taskvectors."):
    note = {"command": command, "time": time.time(), **{k: os.environ.get(k) for k in NOTED}}
    path = Path(os.environ["PROBE_FOLDER"]) / f"{time.time_ns()}-{os.getpid()}.json"
    path.write_text(json.dumps(note))
elif "--profile slurm" in command:
    # Each look at the queue that finds nothing new is followed by 10 s more of waiting, which is
    # right for a day's run and would be half of these.
    from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

    RemoteExecutor.next_seconds_between_status_checks = property(
        lambda self: 2, lambda self, seconds: None
    )
    # No test can wait for as long as a refused submission is tried again.
    if "PROBE_PATIENCE" in os.environ:
        from taskvectors.cluster import executor

        executor.SECONDS_OF_REFUSALS = float(os.environ["PROBE_PATIENCE"])
