"""A model by its name or by its folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.demo.__main__ import check_names
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
    named = Named(folder, "idefics2", "bfloat16", prepared=True)
    assert find_model("idefics2", None, project) == named
    assert find_model("idefics2", "nf4", project).dtype == "nf4"


def test_a_folder_is_itself(project):
    folder = project / "results/paper/prepare/idefics2"
    named = Named(folder, "idefics2", "float32", prepared=True)
    assert find_model(str(folder), None, project) == named
    other = shutil.copytree(folder, project / "idefics2")
    assert find_model(str(other), None, project) == Named(other, "idefics2", "float32", False)


def test_a_prepared_model_is_what_was_prepared_and_a_folder_is_what_it_holds(project):
    folder = project / "results/paper/prepare/idefics2"
    save_file({"w": torch.ones(2)}, folder / "model.safetensors")
    write_json(folder / "source.json", {"hub": "a/b", "revision": "a" * 40})
    assert find_model("idefics2", None, project).revision == "a" * 40
    assert find_model(str(folder), None, project).revision == "a" * 40
    other = shutil.copytree(folder, project / "tuned")
    before = find_model(str(other), None, project).revision
    save_file({"w": torch.zeros(2)}, other / "model.safetensors")
    after = find_model(str(other), None, project).revision
    assert len({before, after, "a" * 40}) == 3


def test_a_name_of_two_different_models_asks_which(project):
    for experiment, value in (("paper", 1.0), ("today", 1.0), ("wild", 2.0)):
        folder = project / f"results/{experiment}/prepare/embedded"
        folder.mkdir(parents=True)
        write_json(folder / "config.json", {"model_type": "embedded_vlm"})
        save_file({"w": torch.full((2,), value)}, folder / "model.safetensors")
    with pytest.raises(UserError, match="two different models are called embedded, in ") as error:
        find_model("embedded", None, project)
    assert "paper/prepare/embedded and in " in str(error.value)
    assert "wild/prepare/embedded; give the folder" in str(error.value)
    shutil.rmtree(project / "results/wild")
    assert find_model("embedded", None, project).folder.parts[-3] == "paper"


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


def test_the_demo_takes_no_vectors_of_another_model_of_the_same_name(project):
    named = []
    for run, value in (("run-a", 1.0), ("run-b", 2.0)):
        folder = project / run / "final"
        folder.mkdir(parents=True)
        write_json(folder / "config.json", {"model_type": "llama"})
        save_file({"w": torch.full((2,), value)}, folder / "model.safetensors")
        named.append(find_model(str(folder), None, project))
    check_names(named[0], named[0])
    with pytest.raises(UserError, match="both are called final; give one of the folders another"):
        check_names(*named)
