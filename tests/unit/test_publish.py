"""What is published: each full vector with what it is of, and a card that says where it is from."""

from __future__ import annotations

import json

import torch
import yaml

from taskvectors.api.vectors import open_vector
from taskvectors.base.tensors import read_metadata, write_tensors
from taskvectors.publish import card, licences, published
from taskvectors.study.manifest import read_manifest

SIDECAR = {
    "model": "m",
    "template": "spaced",
    "task": "food-color",
    "dtype": "bfloat16",
    "rows": {"validation": ["Apple", "Pear", "Plum"], "test": ["Fig"]},
}
NAMES = ["text_icl/1", "image_icl/1", "instruction", "text_icl_n5/1", "ensemble_n5/1"]


def test_full_vectors_are_published_with_what_they_are_of_and_no_subsets(tmp_path):
    tensors = {name: torch.full((2, 3), float(n)) for n, name in enumerate(NAMES)}
    write_tensors(tmp_path / "vectors.safetensors", tensors)
    found = list(published(tmp_path / "vectors.safetensors", SIDECAR, "abc", "CC0, MIT"))
    by_file = {one.path.name: one for one in found}
    assert set(by_file) == {
        *("text_icl-1.safetensors", "image_icl-1.safetensors", "instruction.safetensors")
    }
    text, image = by_file["text_icl-1.safetensors"], by_file["image_icl-1.safetensors"]
    assert text.path.parent.as_posix() == "m/spaced/food-color"
    about = text.vector.about
    assert (about.revision, about.dtype) == ("abc", "bfloat16")
    assert (about.task, about.seed) == ("food-color", 1)
    assert (about.prompts, about.site, about.licence) == (3, "exemplar", None)
    assert image.vector.about.licence == "CC0, MIT"
    plain = by_file["instruction.safetensors"].vector
    assert (plain.about.prompts, plain.about.site, plain.about.seed) == (1, "last token", None)
    assert torch.equal(plain.tensor, tensors["instruction"])
    image.vector.save(tmp_path / "image.safetensors")
    said = read_metadata(tmp_path / "image.safetensors")
    assert said["layer_axis"] == "0" and said["version"] and json.loads(said["about"])["seed"] == 1
    assert open_vector(tmp_path / "image.safetensors").about == image.vector.about


def test_the_card_names_models_tables_and_how_to_open_a_vector(tmp_path):
    write_tensors(tmp_path / "v.safetensors", {"text_icl/1": torch.ones(2, 3)})
    found = list(published(tmp_path / "v.safetensors", SIDECAR, "f" * 64, ""))
    text = card("tiny", found, [tmp_path / "table_3.md"], "items_parquet")
    front = yaml.safe_load(text.split("---")[1])
    assert front["license_link"] == "ATTRIBUTION.html" and "task-vectors" in front["tags"]
    assert f"| m | {'f' * 64} |" in text and "- [table_3](tables/table_3.md)" in text
    assert 'open_vector("vectors/m/spaced/food-color/text_icl-1.safetensors")' in text


def test_licences_are_those_of_the_entities_that_were_shown(tmp_path):
    header = (
        "entity_set,entity,file,sha256,rendering,author,licence,licence_url,package,version,path"
    )
    rows = [("foods", "Apple", "CC0"), ("foods", "Pear", "MIT"), ("foods", "Fig", "GPL")]
    rows += [("animals", "Plum", "BSD"), ("foods", "Lime", "")]
    lines = [f"{s},{e},{e}.png,0,x,a,{licence},u,p,1,q" for s, e, licence in rows]
    (tmp_path / "manifest.csv").write_text("\n".join([header, *lines]) + "\n")
    shown = ["Apple", "Pear", "Plum"]
    images = read_manifest(tmp_path / "manifest.csv")
    assert licences(images, "foods", shown) == "CC0, MIT"
    assert licences(images, "foods", ["Apple", "Lime"]) == "CC0, not stated"
