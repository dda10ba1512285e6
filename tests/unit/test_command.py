"""How a command ends that a person stops."""

from __future__ import annotations

import signal
import subprocess
import sys

COMMAND = """
import time
from taskvectors.base.command import run_command

def main():
    print("begun", flush=True)
    time.sleep(60)

run_command(main)
"""


def test_ctrl_c_ends_a_command_in_a_sentence_and_with_a_shells_status():
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None and running.stdout.readline() == "begun\n"
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=30)
    assert running.returncode == 130
    assert said == "error: stopped by Ctrl-C; run the same command again.\n"
