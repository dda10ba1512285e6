"""Programs of the system, and packages of their registries, that some tests need."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from filelock import FileLock


def need(programs: list[str], packages: list[str]) -> None:
    """Skip the test, visibly, where a program is missing.

    In CI, as root, Debian's packages are installed instead, and a failure is one.
    """
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    if os.environ.get("CI") != "true" or os.geteuid() != 0:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    install(packages)


def install(packages: Sequence[str]) -> None:
    """Install Debian's packages, one process after the other: apt-get waits for no other's lists.

    Raises subprocess.CalledProcessError where they cannot be had.
    """
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with FileLock(Path(tempfile.gettempdir()) / "apt-get-of-the-tests.lock"):
        for command in (("update",), ("install", "-y", "--no-install-recommends", *packages)):
            subprocess.run(["apt-get", "-qq", *command], check=True, env=environment)
