"""Time and memory of the default run, in a copy of the repository without results.

Prints one ``name: value`` a line. Memory is that of all processes together, sampled_tree twice a
second: the sum of their proportional sets on Linux, in which a shared page counts once, of their
resident sets elsewhere. ``records_percent`` is what writing the records adds to the time of the
jobs' own commands.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from memory import sampled_tree

from taskvectors.record.provenance import read_record

ROOT = Path(__file__).resolve().parent.parent


def timed(folder: Path, cores: int) -> tuple[float, float]:
    """Seconds and peak gigabytes of one `snakemake` call in ``folder``."""
    began = time.monotonic()
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--quiet", "all"]
    process = subprocess.Popen(command, cwd=folder)
    with sampled_tree(process.pid) as peak:
        status = process.wait()
    if status:
        sys.exit(f"error: the run in {folder} failed with status {status}; see its logs.")
    return time.monotonic() - began, peak.value / 1e9


def records_percent(results: Path) -> float:
    """The time of all jobs beyond that of their commands, in percent of the latter."""
    commands = {}
    for path in (results / "records").rglob("*.json"):
        record = read_record(path)
        ran = datetime.fromisoformat(record["ended"]) - datetime.fromisoformat(record["started"])
        job = record["rule"], json.dumps(record["wildcards"], sort_keys=True)
        commands[job] = ran.total_seconds()
    jobs = {}
    for path in (results / "benchmarks").rglob("*.jsonl"):
        row = json.loads(path.read_text().splitlines()[-1])
        jobs[row["rule_name"], json.dumps(row["wildcards"], sort_keys=True)] = float(row["s"])
    own = sum(commands[job] for job in jobs)
    return 100 * (sum(jobs.values()) - own) / own


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "workflow"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        seconds, gigabytes = timed(folder, cores=2)
        again, _ = timed(folder, cores=2)
        share = records_percent(folder / "results/embedded")
    print(f"default_run_minutes: {seconds / 60:.1f}")
    print(f"default_run_peak_memory_gb: {gigabytes:.2f}")
    print(f"records_percent: {share:.1f}")
    print(f"second_run_seconds: {again:.1f}")


if __name__ == "__main__":
    main()
