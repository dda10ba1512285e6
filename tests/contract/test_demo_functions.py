"""The demo's function vectors, on a tiny LLaVA: the heads that one pass each finds, summed."""

from __future__ import annotations

import pytest
import torch

from taskvectors.base.errors import UserError
from taskvectors.demo.functions import find_functions, function_answers, mean_outputs
from taskvectors.demo.prompts import ask, parse_line
from taskvectors.engine.heads import function_vector
from taskvectors.engine.naive import naive_effects, naive_sweep
from taskvectors.engine.sweep import Site
from taskvectors.models.judged import encode_query
from taskvectors.study.prompts import find_template

from .families import FAMILIES
from .jobs import ROOT

TEMPLATE = find_template(ROOT / "resources/templates.yaml", "generic")


@pytest.fixture(scope="module")
def llava(load, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava")
    FAMILIES["llava"].save(folder)
    return load(folder, "llava")


def lines(image: str, outputs: tuple[str, str] = ("Tokyo", "Lima")) -> list:
    exemplars = [{"input": "Japan", "output": outputs[0]}, {"input": "Peru", "output": outputs[1]}]
    shown = [{"image": image, "output": outputs[0]}, {"image": image, "output": outputs[1]}]
    common = {"vector": "capital", "label": "Paris"}
    rows = [
        {"id": "1", "specification": "text_icl", "exemplars": exemplars,
         "query": {"image": image}, **common},
        {"id": "2", "specification": "image_icl", "exemplars": shown,
         "query": {"input": "France"}, **common},
        {"id": "3", "specification": "instruction", "instruction": "The capital:",
         "query": {"input": "Kenya"}, **common, "vector": "told"},
    ]  # fmt: skip
    return [parse_line(row, TEMPLATE) for row in rows]


def test_the_heads_are_those_with_the_largest_mean_effect(llava, images):
    asked = lines(images[0])
    functions = find_functions(llava, TEMPLATE, asked, 3)
    means = mean_outputs(llava, asked[:2])
    effects = []
    for line, swapped in zip(asked[:2], (("Lima", "Tokyo"), ("Lima", "Tokyo")), strict=True):
        pairs = [(shown, label) for (shown, _), label in zip(line.exemplars, swapped, strict=True)]
        prompt = (*TEMPLATE.exemplars(pairs), *line.query)
        encoded, label = encode_query(llava, prompt, TEMPLATE, "Paris")
        before, after = naive_effects(llava, encoded, means["capital"], label)
        effects.append(after - before)
    best = torch.stack(effects).mean(0).flatten().topk(3)
    chosen = [divmod(int(number), llava.heads.count) for number in best.indices]
    assert [(one["layer"], one["head"]) for one in functions.heads] == chosen
    expected = function_vector(llava, means["capital"], chosen)
    assert set(functions.vectors) == {"capital"}
    torch.testing.assert_close(functions.vectors["capital"], expected)


def test_they_are_added_to_the_lines_that_have_one(llava, images):
    asked = lines(images[0])
    functions = find_functions(llava, TEMPLATE, asked, 3)
    queries = [ask(llava, TEMPLATE, line, line.query) for line in asked]
    found = function_answers(llava, queries, functions, [1], [0.5, 2.0])
    assert found[2] == {}, "an instruction has no labels to shuffle"
    vectors = functions.by_layer(len(llava.layers))
    site = Site("capital", 1, 2.0)
    ((_, _, expected),) = naive_sweep(llava, [llava.encode(asked[1].query)], vectors, [site])
    assert found[1]["1"]["2"]["token_id"] == expected.token_id
    assert set(found[1]["1"]) == {"0.5", "2"}


def test_what_cannot_be_shuffled_or_had_is_refused(llava, images):
    with pytest.raises(UserError, match="no line has exemplars with different outputs"):
        find_functions(llava, TEMPLATE, lines(images[0], ("Lima", "Lima")), 3)
    with pytest.raises(UserError, match="llava has 12 heads, so that 13 cannot be had"):
        find_functions(llava, TEMPLATE, lines(images[0]), 13)
