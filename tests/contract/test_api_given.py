"""What the API refuses of what it is given, by one sentence each, and what it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from taskvectors import api
from taskvectors.api.vectors import TaskVector
from taskvectors.base.errors import UserError

from .families import FAMILIES

PAIRS = [("France", "Paris"), ("Japan", "Tokyo")]
PICTURE = np.zeros((4, 5, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("given") / "tiny"
    FAMILIES["llava"].save(folder)
    return folder


@pytest.fixture(scope="module")
def model(folder) -> api.Model:
    return api.load(folder, device="cpu")


@pytest.fixture(scope="module")
def vector(model) -> TaskVector:
    return api.read(model, PAIRS)


Call = Callable[[api.Model, TaskVector], Any]
REFUSED: list[tuple[Call, str]] = [
    (lambda m, v: api.sweep(m, "hot", v), "queries are a list, but this is one str"),
    (lambda m, v: api.sweep(m, Path("a.png"), v), "queries are a list, but this is one PosixPath"),
    (lambda m, v: api.sweep(m, PICTURE, v), "queries are a list, but this is one ndarray"),
    (lambda m, v: api.sweep(m, Image.new("L", (2, 2)), v), "are a list, but this is one Image"),
    (lambda m, v: api.sweep(m, ["a", "b"], v, "xy"), "labels are a list, but this is one str"),
    (lambda m, v: api.sweep(m, [], v), "no query to sweep"),
    (lambda m, v: api.sweep(m, ["a"], v, [7]), "a label is a str, not 7"),
    (lambda m, v: api.sweep(m, ["a"], v, [" \n"]), r"the label ' \\n' has no text"),
    (lambda m, v: api.sweep(m, ["a"], v.tensor), "a Tensor is no task vector"),
    (lambda m, v: api.read(m, {"a": "b"}), "exemplars are a list, but this is one dict"),
    (lambda m, v: api.read(m, ["ab", "cd"]), r"each is an \(input, output\) pair; 'ab' is none"),
    (lambda m, v: api.read(m, ("France", "Paris")), "pair; 'France' is none"),
    (
        lambda m, v: api.read(m, [("red", Path("a.png"))]),
        "an output of exemplars is a str, not Pos",
    ),
    (lambda m, v: api.read(m, iter([])), "from exemplars or from an instruction"),
    (lambda m, v: api.read(m, instruction=["a"]), r"an instruction is a str, not \['a'\]"),
    (lambda m, v: api.ask(m, "a", "bc"), "exemplars are a list, but this is one str"),
    (lambda m, v: api.ask(m, "a", tokens=0), "is a whole number from 1 to 1000, not 0"),
    (lambda m, v: api.ask(m, "https://a.org/b.JPG?w=3"), "is the link of an image"),
    (lambda m, v: api.ask(m, "data:image/png;base64,iVBORw0KGgo="), "is the link of an image"),
    (lambda m, v: api.ask(m, Path("\udcff.png")), r"udcff.png' is not UTF-8; rename it"),
    (lambda m, v: api.ask(m, Image.new("RGB", (0, 5))), "it has no pixels"),
    (lambda m, v: api.ask(m, torch.zeros(4, 5, 3).to_sparse()), "cannot be read; give a dense one"),
    (lambda m, v: api.patch(m, "x", v.tensor, 1), "a Tensor is no task vector"),
    (lambda m, v: api.patch(m, "x", v, 3), "tiny has layers 0 to 2, not 3"),
    (lambda m, v: api.patch(m, "x", v, 1.0), r"tiny has layers 0 to 2, not 1\.0"),
    (lambda m, v: api.average(v), "vectors are a list, but this is one TaskVector"),
    (lambda m, v: api.average([v.tensor]), "a Tensor is no task vector"),
    (lambda m, v: api.compare([v], 1), "compared by name"),
    (lambda m, v: api.compare({"a": v}, "1"), "these vectors have layers 0 to 2, not '1'"),
    (lambda m, v: api.lens(m, v, top=10**7), "from 1 to 380, not 10000000"),
    (lambda m, v: api.sweep_heads(m, PAIRS, [], "d", "e"), "at least one of each"),
    (lambda m, v: v.save(Path.cwd()), "is a folder; name a file in it"),
    (lambda m, v: v.save_gguf("a.gguf", 1.5), "one of the layers 1 to 2, not 1.5"),
    (lambda m, v: api.open_vector(Path.cwd()), "is not a whole safetensors file"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_what_is_not_meant_is_refused_by_a_sentence(call, said, model, vector):
    with pytest.raises(UserError, match=said) as error:
        call(model, vector)
    assert str(error.value).count("\n") == 0


def test_a_dtype_or_device_that_there_is_not_is_refused(folder):
    with pytest.raises(UserError, match="the dtype 'int8' is unknown; choose one of float32"):
        api.load(folder, dtype="int8")
    with pytest.raises(UserError, match="cannot be loaded on 'tpu' here"):
        api.load(folder, device="tpu")


def test_whatever_gives_several_is_taken(model, vector):
    plain = api.sweep(model, ["Italy", "Peru"], vector, ["Rome", "Lima"]).rows
    named = pd.Series({"x": "Italy", "y": "Peru"})
    for queries in (("Italy", "Peru"), iter(["Italy", "Peru"]), named):
        found = api.sweep(model, queries, vector, iter(["Rome", "Lima"])).rows
        pd.testing.assert_frame_equal(found, plain)
    assert torch.equal(api.read(model, iter(PAIRS)).tensor, vector.tensor)
    assert torch.equal(api.average(iter([vector, vector])).tensor, vector.tensor)


def test_a_text_that_speaks_of_a_link_is_a_text(model):
    assert api.ask(model, "see https://a.org/b.png", tokens=1).how == "alone"
    assert api.ask(model, "https://a.org/page", tokens=1).how == "alone"


def test_exemplars_that_a_generator_does_not_give_are_none(model):
    none = (pair for pair in ())
    assert api.ask(model, "a", none, instruction="b:", tokens=1).how == "after an instruction"
