"""Copies of the workflow in folders of their own, where Snakemake runs for real."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

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
    ".test",
    "tests/workflow",
)
# What a run in .test leaves there.
MADE = ("results", "logs", ".snakemake")


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
    """Copy what Snakemake needs, without results; of the prompts that a vector contradicts, each of
    which is answered in full, the first two of every block."""
    for name in NEEDED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", *MADE)
            shutil.copytree(source, target, ignore=ignored, symlinks=True)
        elif source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
    conflicts = folder / "resources/qualitative/conflicts.yaml"
    blocks = yaml.safe_load(conflicts.read_text(encoding="utf-8"))
    for block in (block for kind in blocks.values() for block in kind):
        del block["prompts"][2:]
    conflicts.write_text(yaml.safe_dump(blocks), encoding="utf-8")
    return Checkout(folder)


def link(source: str, target: str) -> None:
    """Link a file; of Snakemake's time of a folder make a copy, since `--touch` changes it."""
    own = Path(source).name == ".snakemake_timestamp"
    (shutil.copy2 if own else os.link)(source, target)
