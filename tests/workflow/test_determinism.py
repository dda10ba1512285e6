"""A recorded command, run again, makes the same bytes.

The stages that load a model, and all that follow them, are compared by test_crash.py, whose
disturbed run is a second run as well.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from taskvectors.record.provenance import describe, read_record, record_path

pytestmark = pytest.mark.workflow


def run_again(folder: Path, output: str, out: Path, threads: int) -> None:
    """Run an output's recorded command with another ``--out``, and with no log."""
    words = shlex.split(read_record(folder / record_path(output))["command"])
    assert words[:2] == ["python", "-m"]
    words[words.index("--out") + 1] = str(out)
    log = words.index("--log")
    again = [sys.executable, *words[1:log], *words[log + 2 :]]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}  # as Snakemake sets it
    done = subprocess.run(
        again, cwd=folder, env=environment, text=True, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("output", "made", "threads"),
    [
        ("collect/twemoji/foods/images", "out/images", 1),
        ("curate/country-capital/exemplars.jsonl", "out/exemplars.jsonl", 1),
        ("prepare/embedded", "out", 2),
    ],
)
def test_a_recorded_command_makes_the_same_bytes_again(tiny_run, tmp_path, output, made, threads):
    run_again(tiny_run.folder, f"results/tiny/{output}", tmp_path / "out", threads)
    recorded = read_record(tiny_run.folder / record_path(f"results/tiny/{output}"))["output"]
    found = describe(tmp_path / made)
    hashes = {name: file["sha256"] for name, file in found.get("files", {}).items()}
    assert hashes == {name: f["sha256"] for name, f in recorded.get("files", {}).items()}
    assert found["sha256"] == recorded["sha256"]
