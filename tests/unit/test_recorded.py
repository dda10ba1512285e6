"""The process that keeps records: its child dies with it; new bytes never have an old record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from taskvectors.record.provenance import record_path

OUT = "results/e/out"


@pytest.fixture
def place(tmp_path) -> Path:
    """A root to run commands in."""
    (tmp_path / "envs").mkdir()
    (tmp_path / "envs/cpu.txt").touch()
    (tmp_path / "results/e").mkdir(parents=True)
    return tmp_path


def recording(place: Path, script: str) -> subprocess.Popen[bytes]:
    """Start a recorded command in Python that is to make `OUT`."""
    wrapper = ["taskvectors.record", "--rule", "none", "--code", "0", "--outputs", OUT, "--"]
    return subprocess.Popen(
        [sys.executable, "-m", *wrapper, sys.executable, "-c", script],
        cwd=place,
        env={**os.environ, "TASKVECTORS_CONFIG": json.dumps({"experiment": "e"})},
        stderr=subprocess.DEVNULL,
    )


def test_kill_9_of_the_recording_process_ends_its_child(place):
    started = place / "started"
    late = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    process = recording(place, late)
    while not (started.exists() and started.read_text()):
        assert process.poll() is None
        time.sleep(0.02)
    child = psutil.Process(int(started.read_text()))
    process.kill()
    process.wait()
    child.wait(10)
    assert not child.is_running()


def test_output_of_a_killed_job_does_not_keep_the_record_of_the_run_before(place):
    whole = f"open({OUT!r}, 'w').write('whole')"
    assert recording(place, whole).wait() == 0
    record = place / record_path(OUT)
    assert record.is_file()
    killed = recording(place, f"import time; open({OUT!r}, 'w').write('other'); time.sleep(60)")
    while (place / OUT).read_text() != "other":
        assert killed.poll() is None
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    assert not record.exists()


def test_a_job_that_lays_out_prompts_without_a_model_has_its_template_on_record(place):
    script = (
        "from taskvectors.record.loaded import report_template; report_template({'name': 't'}); "
        f"open({OUT!r}, 'w').write('whole')"
    )
    assert recording(place, script).wait() == 0
    record = json.loads((place / record_path(OUT)).read_text())
    assert (record["template"], record["model"], record["device"]) == ({"name": "t"}, None, None)
