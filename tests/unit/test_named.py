"""A model by its name or by its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from taskvectors.base.errors import UserError
from taskvectors.jobs.named import Named, find_model


@pytest.fixture
def project(tmp_path, root) -> Path:
    """A root with the real models.yaml and one prepared model."""
    (tmp_path / "resources").mkdir()
    shutil.copy(root / "resources/models.yaml", tmp_path / "resources")
    folder = tmp_path / "results/paper/prepare/idefics2"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    return tmp_path


def test_a_name_is_the_prepared_folder_in_the_models_own_dtype(project):
    folder = project / "results/paper/prepare/idefics2"
    assert find_model("idefics2", None, project) == Named(folder, "idefics2", "bfloat16")
    assert find_model("idefics2", "nf4", project).dtype == "nf4"


def test_a_folder_is_itself(project):
    folder = project / "results/paper/prepare/idefics2"
    assert find_model(str(folder), None, project) == Named(folder, "idefics2", "float32")


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        ("idefics", "'idefics' is neither a folder nor a model of resources/models.yaml"),
        ("embedded", "run `snakemake --cores 2 results/embedded/prepare/embedded`"),
    ],
)
def test_what_is_not_there_is_named_with_a_remedy(project, asked, complaint):
    with pytest.raises(UserError, match=r"\A[^\n]*\Z") as error:
        find_model(asked, None, project)
    assert complaint in str(error.value)
