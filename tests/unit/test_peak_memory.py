"""The benchmark's memory: of all processes together, shared pages once, and the peak of it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from memory import memory_of, memory_of_tree, sampled_tree

MB = 10**6
# A process that holds 200 MB until its stdin is closed, alone or with another one.
ALONE = 'held = bytearray(b"x") * 200_000_000\nprint("holds", flush=True)\nopen(0).read()'
WITH_A_CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {ALONE!r}], stdout=subprocess.PIPE)
child.stdout.readline()
{ALONE}
"""
SHARED = """
import os
held = bytearray(b"x") * 200_000_000
if os.fork() == 0:
    print("holds", flush=True)
open(0).read()
"""


@contextmanager
def holding(code: str) -> Iterator[subprocess.Popen[str]]:
    """The process of ``code``, once it holds its memory."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as process:
        assert process.stdout.readline() == "holds\n"
        yield process


def test_a_child_that_holds_200_mb_is_seen_beside_its_parent():
    with holding(WITH_A_CHILD) as process:
        found = psutil.Process(process.pid)
        assert 200 * MB < memory_of(found) < 250 * MB
        assert 400 * MB < memory_of_tree(found) < 500 * MB


@pytest.mark.skipif(not psutil.LINUX, reason="only Linux tells shared pages from others")
def test_pages_that_two_processes_share_count_once():
    with holding(SHARED) as process:
        assert 200 * MB < memory_of_tree(psutil.Process(process.pid)) < 250 * MB


def test_the_peak_stays_when_the_process_has_ended():
    with holding(ALONE) as process, sampled_tree(process.pid) as peak:
        while peak.value < 200 * MB:
            assert process.poll() is None
            time.sleep(0.05)
        process.communicate()
    assert 200 * MB < peak.value < 250 * MB


def test_a_process_that_ended_holds_nothing():
    with holding(ALONE) as process:
        found = psutil.Process(process.pid)
        process.communicate()
    assert memory_of_tree(found) == 0
