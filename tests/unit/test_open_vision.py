"""The open vision side: weights that are not its own, training that fails, mixed renderings."""

import pytest
import torch
from torch import Generator, nn

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, sha256
from taskvectors.base.tensors import read_tensors
from taskvectors.models.embedded import EmbeddedConfig, EmbeddedForConditionalGeneration
from taskvectors.prepare.drawings import Drawings
from taskvectors.prepare.open_vision import OpenVision, put_weights
from taskvectors.prepare.train_vision import Draw, Steps, check_naming


def vision(names: tuple[str, ...] = ()) -> OpenVision:
    text = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "vocab_size": 32}
    text |= {"num_hidden_layers": 1, "num_attention_heads": 2}
    config = EmbeddedConfig(
        text_config=text, names=names, heads=1, hidden=4, features=4, projector_hidden=4
    )
    return OpenVision(EmbeddedForConditionalGeneration(config))


def test_the_committed_weights_are_all_but_the_backbones(tmp_path):
    one, other = vision(), vision()
    nn.init.ones_(one.projector.first.weight)
    weights = {name: weight.half() for name, weight in one.own_weights().items()}
    assert {name.split(".")[0] for name in weights} == {"vision_tower", "projector"}
    assert not any("backbone" in name for name in weights)
    put_weights(other, weights, tmp_path)
    assert torch.equal(other.projector.first.weight, torch.ones(4, 4))


def test_weights_of_another_shape_are_refused_with_the_place_and_a_remedy(tmp_path):
    weights = vision().own_weights()
    weights["projector.first.weight"] = torch.zeros(4, 5)
    with pytest.raises(UserError, match=r"open\.safetensors .*projector\.first\.weight.*train_vis"):
        put_weights(vision(), weights, tmp_path / "open.safetensors")


def test_a_lookup_is_no_open_vision_side():
    with pytest.raises(ValueError, match="not an open one"):
        vision(names=("Peru",))


def test_training_that_diverges_or_learns_nothing_is_refused():
    weight = nn.Parameter(torch.ones(2))
    with pytest.raises(UserError, match="diverged"):
        Steps([weight], 1e-3, 10).take((weight * torch.inf).sum())
    assert torch.equal(weight, torch.ones(2))
    check_naming({"a": {"accuracy": 0.9, "images": 10}, "b": {"accuracy": 0.0, "images": 5}})
    with pytest.raises(UserError, match=r"only 0\.30 of its own training images"):
        check_naming({"a": {"accuracy": 0.9, "images": 5}, "b": {"accuracy": 0.0, "images": 10}})


def test_images_are_mixed_with_renderings_of_the_same_name_alone():
    names = torch.tensor([0, 0, 1, 2, 2, 2])
    drawings = Drawings(torch.empty(6), names, ["countries"] * 2 + ["foods"] * 4)
    features = torch.nn.functional.one_hot(names).float().expand(3, -1, -1).clone()
    features += torch.rand(features.shape, generator=Generator().manual_seed(1)) * 0.1
    drawn, of = Draw(features, drawings, Generator().manual_seed(0))(64)
    assert drawn.shape == (64, 3) and (of[:32] == 0).all() and set(of[32:].tolist()) == {1, 2}
    assert torch.equal(drawn.argmax(1), of)
    whole = {tuple(row) for row in features.flatten(0, 1).tolist()}
    mixed = [tuple(row) not in whole for row in drawn.tolist()]
    assert 0.2 < sum(mixed) / len(mixed) < 0.6


def test_the_record_beside_the_committed_weights_is_theirs(root):
    made = read_json(root / "resources/vision/open.json")
    weights = root / made["outputs"][0]["path"]
    assert made["outputs"][0]["sha256"] == sha256(weights)
    assert weights.stat().st_size < 8_000_000
    assert {name.split(".")[0] for name in read_tensors(weights)} == {"vision_tower", "projector"}
