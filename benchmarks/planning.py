"""How long `snakemake -n` takes, and how that grows with the number of jobs.

Plans two grids under the Slurm profile in a copy of the repository without results: the paper's
three models, six tasks and one template, and ten times it: ten models, twenty tasks and three
templates. Prints one ``name: value`` a line; seconds and memory are those of the whole process.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml
from memory import sampled_tree

ROOT = Path(__file__).resolve().parent.parent
CONTACT = "Planning only <planning@example.org>"
# The paper's models, and the language models of two of them.
MODELS = ["llava-v1.5", "mantis-fuyu", "idefics2"]
LANGUAGE_MODELS = {"llava-v1.5": "vicuna-7b", "idefics2": "mistral-7b"}


def repeated(path: Path, names: list[str], count: int) -> list[str]:
    """The entries of a YAML file under ``names``, in turn and under new names, ``count`` in all."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    every = [f"{names[n % len(names)]}-{n // len(names)}" for n in range(count)]
    copies = {name: entries[name.rpartition("-")[0]] for name in every}
    path.write_text(yaml.safe_dump(entries | copies), encoding="utf-8")
    return every


def planned(folder: Path, **config: object) -> tuple[int, float, float]:
    """How many jobs are planned, in how many seconds, with how many gigabytes."""
    settings = {"experiment": "paper", "wikipedia": {"contact": CONTACT}, **config}
    given = [
        f"{key}={yaml.safe_dump(value, default_flow_style=True)}" for key, value in settings.items()
    ]
    command = [sys.executable, "-m", "snakemake", "-n", "--quiet", "rules", "--cores", "8"]
    began = time.monotonic()
    process = subprocess.Popen(
        [*command, "--profile", "slurm", "--config", *given],
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
    )
    with sampled_tree(process.pid) as peak:
        said, _ = process.communicate()
    if process.returncode:
        sys.exit(f"error: planning failed with status {process.returncode}:\n{said[-2000:]}")
    jobs = re.findall(r"^total\s+(\d+)", said, re.MULTILINE)
    return int(jobs[-1]), time.monotonic() - began, peak.value / 1e9


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "workflow"
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        few, seconds, _ = planned(folder)
        resources = folder / "resources"
        models = repeated(resources / "models.yaml", MODELS, 10)
        bases = {model: model.rpartition("-")[0] for model in models}
        known = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))["tasks"]
        tasks = repeated(resources / "tasks.yaml", known, 20)
        many, longer, gigabytes = planned(
            folder,
            models=models,
            language_models={
                model: LANGUAGE_MODELS[base]
                for model, base in bases.items()
                if base in LANGUAGE_MODELS
            },
            tasks=tasks,
            templates=["generic", "spaced", "chat"],
        )
    print(f"planning_jobs: {many}")
    print(f"planning_seconds: {longer:.1f}")
    print(f"planning_peak_memory_gb: {gigabytes:.2f}")
    print(f"planning_per_job_growth: {(longer / many) / (seconds / few):.2f}")


if __name__ == "__main__":
    main()
