"""One real run of the cut-down experiment, shared by all tests that look at its results."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NEEDED = (
    "Snakefile",
    "config.yaml",
    "CITATION.cff",
    "workflow",
    "resources",
    "envs",
    "profiles",
    "slurm",
    "tests/workflow",
)


@dataclass(frozen=True)
class Checkout:
    """A copy of the workflow in a folder of its own."""

    folder: Path

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Snakemake here as a user would; stdout and stderr together in ``stdout``."""
        return subprocess.run(
            [sys.executable, "-m", "snakemake", "--cores", "2", *arguments],
            cwd=self.folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )

    def tiny(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The same with the cut-down configuration."""
        return self.snakemake(*arguments, "--configfile", "tests/workflow/tiny.yaml")

    @property
    def results(self) -> Path:
        return self.folder / "results/tiny"


def copy_of_the_workflow(folder: Path) -> Checkout:
    """Copy what Snakemake needs, without results."""
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
            shutil.copytree(source, target, ignore=ignored)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    return Checkout(folder)


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """A fresh copy without results, for dry runs and wrong input."""
    return copy_of_the_workflow(tmp_path)


@pytest.fixture(scope="module")
def second_checkout(tmp_path_factory) -> Checkout:
    """The same for a run that the tests of one file share."""
    return copy_of_the_workflow(tmp_path_factory.mktemp("second"))


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Checkout:
    """The same for tests that change nothing in it."""
    return copy_of_the_workflow(tmp_path_factory.mktemp("pristine"))


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Checkout:
    """The finished cut-down experiment. Tests read it and leave it as it is."""
    checkout = copy_of_the_workflow(tmp_path_factory.mktemp("tiny"))
    done = checkout.tiny()
    assert done.returncode == 0, done.stdout[-6000:]
    return checkout
