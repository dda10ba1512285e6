"""The house's rules, as the tools see it: what imports what, types, sizes, names.

The arrows between the rooms, and the types, are configured in pyproject.toml.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent
MOST_LINES = 350


@pytest.fixture
def files(root) -> dict[str, str]:
    """The package's files, by path."""
    package = root / "workflow/taskvectors"
    paths = {path.relative_to(package).as_posix(): path for path in package.rglob("*.py")}
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


@pytest.mark.parametrize("command", [["lint-imports", "--no-cache"], ["mypy"]], ids=" ".join)
def test_imports_run_down_without_circles_and_types_fit(root, command):
    done = subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "workflow")},
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_is_long(files):
    lengths = {path: len(text.splitlines()) for path, text in files.items()}
    assert {path: length for path, length in lengths.items() if length > MOST_LINES} == {}


def test_no_two_classes_have_one_name(files):
    trees = [ast.parse(text) for text in files.values()]
    named = [
        node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)
    ]
    assert [name for name, count in Counter(named).items() if count > 1] == []
