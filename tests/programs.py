"""Programs of the system, and packages of their registries, that some tests need."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def need(programs: list[str], packages: list[str]) -> None:
    """Skip the test, visibly, where a program is missing.

    In CI, as root, Debian's packages are installed instead, and a failure is one.
    """
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    if os.environ.get("CI") != "true" or os.geteuid() != 0:
        pytest.skip(f"not on this machine: {', '.join(missing)}")
    subprocess.run(["apt-get", "update", "-qq"], check=True)
    install = ["apt-get", "install", "-yqq", "--no-install-recommends", *packages]
    subprocess.run(install, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
