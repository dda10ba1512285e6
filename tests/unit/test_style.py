"""The house style, as the tools see it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        [BIN / "ruff", "check", "."],
        [BIN / "ruff", "format", "--check", "."],
        [BIN / "snakefmt", "--check", "Snakefile", "workflow"],
    ],
    ids=["ruff check", "ruff format", "snakefmt"],
)
def test_formatters_and_linters_find_nothing(root, command):
    done = subprocess.run(command, cwd=root, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_lint_finds_nothing(root):
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint"],
        cwd=root,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
