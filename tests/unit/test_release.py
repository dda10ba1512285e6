"""What the repository says of itself is so: versions, CI's commands, linters, badges."""

from __future__ import annotations

import re
import runpy
import tomllib

import pytest
import yaml


@pytest.fixture
def text(root):
    """A function that reads a file of the repository."""
    return lambda name: (root / name).read_text(encoding="utf-8")


@pytest.fixture
def version(text) -> str:
    return tomllib.loads(text("pyproject.toml"))["project"]["version"]


def test_changelog_citation_and_package_state_one_version_and_one_day(text, version):
    released = re.findall(r"^## (\d\S+) - (\d{4}-\d\d-\d\d)$", text("CHANGELOG.md"), re.MULTILINE)
    cited = yaml.safe_load(text("CITATION.cff"))
    assert released[0] == (version, str(cited["date-released"]))
    assert cited["version"] == version
    assert released == sorted(released, key=lambda one: one[1], reverse=True)
    headings = re.findall(r"^## (.+)$", text("CHANGELOG.md"), re.MULTILINE)
    assert headings == ["Unreleased", *(" - ".join(one) for one in released)]


def test_a_tags_notes_are_its_part_of_the_changelog(root, text, version):
    notes = runpy.run_path(str(root / ".github/release_notes.py"))["notes"]
    parts = {"Unreleased": "later", "0.2.0 - 2026-01-02": "now", "0.1.0 - 2026-01-01": "old"}
    changelog = "# C\n\n" + "".join(f"## {name}\n\n- {one}\n\n" for name, one in parts.items())
    assert notes("v0.2.0", "0.2.0", changelog) == "- now\n"
    assert notes("v0.1.0", "0.1.0", changelog) == "- old\n"
    for tag, stated in (("v0.2.0", "0.1.0"), ("v0.3.0", "0.3.0")):
        with pytest.raises(ValueError, match=stated):
            notes(tag, stated, changelog)
    assert notes(f"v{version}", version, text("CHANGELOG.md"))


def linters(text) -> list[str]:
    """The commands of `make lint`, as they are typed."""
    body = re.search(r"^lint: setup\n((?:\t.+\n)+)", text("Makefile"), re.MULTILINE)
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in body[1].splitlines()]


def test_pre_commit_runs_what_make_lint_runs(text):
    hooks = yaml.safe_load(text(".pre-commit-config.yaml"))["repos"][0]["hooks"]
    assert [hook["entry"].removeprefix("env ") for hook in hooks] == linters(text)


def test_ci_runs_targets_that_there_are_on_the_stated_pythons(text):
    jobs = yaml.safe_load(text(".github/workflows/ci.yml"))["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    targets = {command.split()[1] for command in commands if command.startswith("make ")}
    assert targets <= set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    assert {"lint", "docs"} <= targets and ".ci/run" in commands
    project = tomllib.loads(text("pyproject.toml"))["project"]
    stated = [one.rpartition(" ")[2] for one in project["classifiers"] if "Python :: 3." in one]
    assert jobs["tests"]["strategy"]["matrix"]["python"] == stated
    assert project["requires-python"] == f">={stated[0]}"


def test_badges_state_what_the_code_states(text):
    badges = dict(re.findall(r"img\.shields\.io/badge/(\w+)-([^-\s]+)-\w+\)", text("README.md")))
    snakemake = re.search(r'min_version\("([\d.]+)"\)', text("workflow/Snakefile"))[1]
    project = tomllib.loads(text("pyproject.toml"))["project"]
    licence = yaml.safe_load(text("CITATION.cff"))["license"]
    assert text("LICENSE").startswith(f"{licence} License")
    assert badges.pop("snakemake") == f"≥{snakemake}"
    assert badges.pop("python") == f"≥{project['requires-python'].removeprefix('>=')}"
    assert badges.pop("licence") == licence == project["license"]["text"]
    assert badges.pop("format") == "snakefmt_|_ruff"
    assert badges == {}
    assert {"snakefmt", "ruff"} <= {
        command.split("/")[2].split()[0] for command in linters(text)[:3]
    }
