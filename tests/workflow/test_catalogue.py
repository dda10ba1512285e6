"""What the Snakemake catalogue asks for: workflow/Snakefile, a case in .test, and words on both."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.workflow


def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """How many jobs of each rule a dry run plans."""
    assert done.returncode == 0, done.stdout[-3000:]
    lines = re.findall(r"^(\w+) +(\d+)$", done.stdout, re.MULTILINE)
    return {rule: int(count) for rule, count in lines}


@pytest.fixture(scope="module")
def planned(pristine) -> dict[str, int]:
    """What plain `snakemake` plans of the cut-down experiment."""
    return jobs(pristine.tiny("-n", "--quiet", "rules"))


def test_the_roots_snakefile_is_the_main_definition_with_its_default(pristine, planned):
    assert planned["all"] == 1 and planned["read"] == 3 and planned["total"] > 50
    main = jobs(pristine.tiny("-n", "--quiet", "rules", "--snakefile", "workflow/Snakefile"))
    assert main == planned


def test_the_test_case_is_the_cut_down_experiment_in_a_folder_of_its_own(pristine, planned):
    assert jobs(pristine.tiny("-n", "--quiet", "rules", "--directory", ".test")) == planned
    assert not Path(pristine.folder / "results").exists()


def test_what_the_catalogue_shows(root):
    shown = yaml.safe_load((root / ".snakemake-workflow-catalog.yml").read_text(encoding="utf-8"))
    assert "make setup" in shown["usage"]["mandatory-flags"]["desc"]
    assert shown["usage"]["report"] is True
