"""A model that overflows in float16: nothing that it answers or reads is taken, at any door."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from taskvectors import api
from taskvectors.api.vectors import TaskVector
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_jsonl
from taskvectors.demo import __main__ as demo
from taskvectors.describe import described
from taskvectors.engine.cached import cached_sweep
from taskvectors.engine.forward import Patch, run
from taskvectors.engine.generate import generate
from taskvectors.engine.heads import head_effects, plain_probability
from taskvectors.engine.load import load_adapter
from taskvectors.engine.patching import patched_answers, plain_answers
from taskvectors.engine.sweep import Site
from taskvectors.engine.trees import whole
from taskvectors.jobs.instructed import instructed, read_instruction
from taskvectors.models.base import Adapter, Encoded
from taskvectors.overriding.judge import Judge
from taskvectors.score.decode import probabilities
from taskvectors.study.datasets import Item
from taskvectors.study.manifest import CollectedImage
from taskvectors.study.prompts import QUERY, ImageInput, Text

from .families import FAMILIES
from .test_contract import TEMPLATE, random_vectors
from .tiny import LAYERS, WIDTH

PAIRS = [("France", "Paris"), ("Japan", "Tokyo")]
INFINITE = "makes activations of tiny infinite in float16; choose bfloat16 or float32"
SAID = rf"the prompt that ends in '.*Italy\\nA:' {INFINITE}"


@pytest.fixture(scope="module", params=["llava", "mllama"])
def too_large(request, tmp_path_factory) -> Path:
    """A checkpoint whose second layer puts out what float32 holds and float16 does not; a family
    that is swept in one pass, and one with cached keys and values."""
    folder = tmp_path_factory.mktemp(request.param) / "tiny"
    FAMILIES[request.param].save(folder)
    path = folder / "model.safetensors"
    weights = load_file(path)
    (name,) = [one for one in weights if one.endswith("layers.1.mlp.down_proj.weight")
               and "vision" not in one and "global" not in one]  # fmt: skip
    weights[name] *= 1e5
    save_file(weights, path, {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def adapter(too_large: Path, device: str) -> Adapter:
    return load_adapter(too_large, "tiny", "float16", device)


@pytest.fixture(scope="module")
def asked(adapter: Adapter) -> Encoded:
    return adapter.encode(TEMPLATE.query(Text("Italy")))


def swept(adapter: Adapter, asked: Encoded, sweep=patched_answers, *more: int) -> None:
    sites = [Site("0", 0)]
    list(sweep(adapter, [asked], random_vectors(adapter, 1), sites, *more))


def test_every_way_of_answering_is_guarded(adapter, asked):
    last = [(0, len(asked.ids) - 1)]
    outputs = torch.zeros(LAYERS, adapter.heads.count, adapter.heads.width)
    for answer in (
        lambda: run(adapter, [whole(asked)], answers=last),
        lambda: run(adapter, [whole(asked)], last),
        lambda: plain_answers(adapter, [asked]),
        lambda: generate(adapter, [asked], 3),
        lambda: generate(adapter, [asked], 3, torch.zeros(WIDTH), 0),
        lambda: plain_probability(adapter, asked, [7]),
        lambda: head_effects(adapter, asked, outputs, [7], 4096),
    ):
        with pytest.raises(UserError, match=SAID):
            answer()
    named = f"with the vector 0 written after layer 0, {INFINITE}"
    for how in ((), (cached_sweep, 4096)):
        with pytest.raises(UserError, match=rf"Italy\\nA:', {named}"):
            swept(adapter, asked, *how)
    with pytest.raises(UserError, match="number 1 of the decoded residual streams makes"):
        probabilities(adapter, torch.tensor([[0.0], [1e6]]).expand(2, WIDTH))


def test_the_prompts_last_image_is_named(adapter, images):
    pairs = [(ImageInput(images[0]), "a")]
    prompt = (*TEMPLATE.exemplars(pairs), *TEMPLATE.query(ImageInput(images[1])))
    encoded = adapter.encode(prompt)
    with pytest.raises(UserError, match=r"the prompt with the image .*/1\.png that ends in "):
        run(adapter, [whole(encoded)], answers=[(0, len(encoded.ids) - 1)])


def test_every_stage_that_asks_is_guarded(adapter, images):
    item = Item("t", "test", "Italy", images[1], "Rome")
    told = adapter.encode(instructed("The capital:", TEMPLATE, item, "text"))
    image = CollectedImage("set", "Italy", Path(images[0]), *[""] * 9, free=True)
    for ask in (
        lambda: read_instruction(adapter, "The capital of Italy\nA:"),
        lambda: plain_answers(adapter, [told]),
        lambda: described(adapter, TEMPLATE, [image], {}),
        lambda: Judge(adapter, TEMPLATE).opinion("Is it?", "Italy"),
    ):
        with pytest.raises(UserError, match=INFINITE):
            ask()


def test_the_api_neither_answers_nor_keeps_a_vector(too_large, tmp_path):
    model = api.load(too_large, dtype="float16", device="cpu")
    about = api.read(api.load(too_large, device="cpu"), PAIRS).about
    vector = TaskVector(torch.ones(LAYERS, WIDTH), about)
    for call in (
        lambda: api.ask(model, "Italy"),
        lambda: api.ask(model, "Italy", PAIRS),
        lambda: api.read(model, PAIRS),
        lambda: api.read(model, instruction="The capital:"),
        lambda: api.patch(model, "Italy", vector, 0),
        lambda: api.sweep(model, ["Italy"], vector),
        lambda: api.sweep_heads(model, PAIRS, PAIRS, "Italy", "Rome"),
        lambda: api.lens(model, TaskVector(1e30 * vector.tensor, about)),
    ):
        with pytest.raises(UserError, match=INFINITE):
            call()
    with pytest.raises(UserError, match="the vector of tiny, row 1, is not finite"):
        TaskVector(torch.tensor([1.0, torch.nan]).unsqueeze(1), about)


def test_the_demo_leaves_nothing_behind(too_large, tmp_path, monkeypatch):
    line = {
        "id": "a", "vector": "v", "specification": "image_icl", "query": {"input": "Italy"},
        "exemplars": [{"image": "one.png", "output": "a"}], "label": "b",
    }  # fmt: skip
    Image.new("RGB", (9, 9)).save(tmp_path / "one.png")
    write_jsonl(tmp_path / "prompts.jsonl", [line])
    command = ["demo", "--model", str(too_large), "--prompts", str(tmp_path / "prompts.jsonl")]
    command += ["--out", str(tmp_path / "out"), "--dtype", "float16"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(UserError, match=rf"the image .*/one\.png that ends in .*A:' {INFINITE}"):
        demo.main()
    assert not (tmp_path / "out").exists()


def test_float32_holds_them(too_large, device):
    adapter = load_adapter(too_large, "tiny", "float32", device)
    asked = adapter.encode(TEMPLATE.query(Text("Italy")))
    assert generate(adapter, [asked], 1) is not None
    swept(adapter, asked)


def test_a_patch_takes_the_place_of_what_is_infinite(tmp_path, load):
    FAMILIES["llava"].save(tmp_path)
    adapter = load(tmp_path, "tiny")
    asked = adapter.encode(TEMPLATE.query(Text("Italy")))
    at, vector = asked.marks[QUERY.name], random_vectors(adapter, 1)["0"][1]

    def answers(patches: list[Patch]) -> list:
        return run(adapter, [whole(asked)], [(0, at)], patches, [(0, at)])[1]

    expected = answers([Patch(0, at, 1, vector)])

    def overflow(_module, _inputs, output):
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        if hidden.shape[1] in (1, len(asked.ids)):  # not of the tokens before it
            hidden[:, -1] = torch.inf
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    adapter.layers[1].register_forward_hook(overflow)
    assert answers([Patch(0, at, 1, vector)]) == expected
    (written,) = generate(adapter, [asked], 1, vector, 1)
    assert written == [expected[0].token_id]
    with pytest.raises(UserError, match="infinite in float32; lower the strength"):
        answers([Patch(0, at, 1, vector, added=True)])
