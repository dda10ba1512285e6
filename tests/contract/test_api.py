"""The API on a tiny LLaVA: its examples, and that each function is what the stages do."""

from __future__ import annotations

import doctest
import importlib
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from gguf import GGUFReader
from PIL import Image
from safetensors.torch import load_file, save_file

import taskvectors
from taskvectors import api
from taskvectors.api.vectors import TaskVector
from taskvectors.base.errors import UserError
from taskvectors.engine.forward import Patch, run
from taskvectors.engine.naive import naive_effects
from taskvectors.engine.trees import whole
from taskvectors.models.judged import encode_query
from taskvectors.study.metrics import METRICS
from taskvectors.study.prompts import EXEMPLAR, QUERY, ImageInput, Text

from .families import FAMILIES
from .test_judged import naive_text
from .tiny import LAYERS, WIDTH

MODULES = ["", ".asking", ".comparing", ".model", ".replies", ".sweeping", ".vectors"]
PAIRS = [("France", "Paris"), ("Japan", "Tokyo")]
CAPITAL = "The capital city of the country:"


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "tiny"
    FAMILIES["llava"].save(folder)
    return folder


@pytest.fixture(scope="module")
def model(tiny_folder) -> api.Model:
    return api.load(tiny_folder, device="cpu")


@pytest.fixture
def picture() -> Image.Image:
    noise = np.random.default_rng(1).integers(0, 256, (30, 40, 3), dtype=np.uint8)
    return Image.fromarray(noise)


@pytest.fixture(scope="module")
def vector(model) -> TaskVector:
    return api.read(model, PAIRS)


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_are_right(name, model, vector, tiny_folder, picture, tmp_path):
    module = importlib.import_module(f"taskvectors.api{name}")
    known = {"model": model, "vector": vector, "tiny_folder": tiny_folder, "folder": tmp_path}
    known |= {one: getattr(api, one) for one in api.__all__} | {"picture": picture}
    found = doctest.testmod(module, globs=known, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert found.failed == 0


def test_every_function_has_an_example_and_the_package_gives_it_by_its_name():
    finder = doctest.DocTestFinder(recurse=False)
    for name in api.__all__:
        assert taskvectors.__getattr__(name) is getattr(api, name)
        if name[0].islower():
            (found,) = finder.find(getattr(api, name), name)
            assert found.examples, name
    assert taskvectors.__all__ == api.__all__
    with pytest.raises(AttributeError, match="has no attribute 'reed'"):
        _ = taskvectors.reed


def test_the_functions_come_before_the_stages_of_the_same_name():
    """`read` and `average` are stages, too, which nothing but their commands imports."""
    code = (
        "from taskvectors import average, load, read; assert callable(read) and callable(average)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_package_alone_does_not_load_torch():
    code = "import sys, taskvectors; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_vector_is_the_residual_stream_at_the_last_delimiter(model, vector):
    adapter, template = model.adapter, model.template
    pairs = [(Text(one), other) for one, other in PAIRS]
    encoded = adapter.encode((*template.exemplars(pairs), *template.query(Text("Japan"))))
    read, _ = run(adapter, [whole(encoded)], [(0, encoded.marks[EXEMPLAR.name])])
    torch.testing.assert_close(vector.tensor, read[0])
    about = vector.about
    assert (about.model, about.specification, about.prompts) == ("tiny", "text_icl", 1)
    assert (about.template, about.site, about.dtype) == ("spaced", "exemplar", "float32")


@pytest.mark.parametrize("strength", [None, 2.0])
def test_a_patched_reply_begins_as_one_plain_pass_with_the_patch(model, vector, picture, strength):
    reply = api.patch(model, picture, vector, 1, strength=strength, tokens=1)
    shown = model.place(picture)
    assert isinstance(shown, ImageInput)
    encoded = model.adapter.encode(model.template.query(shown))
    at = encoded.marks[QUERY.name]
    here = Patch(0, at, 1, (strength or 1) * vector.tensor[1], added=strength is not None)
    _, (answer,) = run(model.adapter, [whole(encoded)], patches=[here], answers=[(0, at)])
    assert reply.token == model.adapter.tokenizer.decode([answer.token_id])
    assert reply.logit_difference == pytest.approx(answer.logit_difference, abs=1e-4)
    assert reply.text == reply.token.strip()
    alone = api.ask(model, picture, tokens=1)
    assert alone.logit_difference != pytest.approx(reply.logit_difference, abs=1e-3)


def test_a_query_in_context_is_the_whole_prompt(model):
    reply = api.ask(model, "Italy", PAIRS, instruction=CAPITAL, tokens=1)
    template = model.template
    pairs = [(Text(one), other) for one, other in PAIRS]
    asked = template.query(Text("Italy"))
    encoded = model.adapter.encode((Text(CAPITAL + "\n\n"), *template.exemplars(pairs), *asked))
    at = encoded.marks[QUERY.name]
    _, (answer,) = run(model.adapter, [whole(encoded)], answers=[(0, at)])
    assert reply.logit_difference == pytest.approx(answer.logit_difference, abs=1e-4)
    assert reply.how == "after an instruction, after 2 exemplars"


def test_a_sweep_has_the_patchs_first_token_at_every_layer(model, vector):
    found = api.sweep(model, ["Italy", "Peru"], vector, ["Rome", "Lima"])
    assert found.rows["query"].tolist() == ["Italy"] * LAYERS + ["Peru"] * LAYERS
    for row in found.rows.to_dict("records"):
        reply = api.patch(model, row["query"], vector, row["layer"], tokens=1)
        query = model.template.query(Text(row["query"]))
        encoded, label = encode_query(model.adapter, query, model.template, row["label"])
        patch = Patch(0, len(encoded.ids) - 1, row["layer"], vector.tensor[row["layer"]])
        ids = naive_text(model.adapter, encoded, patch)[: None if encoded.to_text else 1]
        assert row["token"] == model.adapter.tokenizer.decode(list(ids))
        assert row["strict"] == (ids == label)
        assert row["logit_difference"] == pytest.approx(reply.logit_difference, abs=1e-3)
    assert 0 <= found.best_layer() < LAYERS
    alone = api.sweep(model, ["Italy"], vector).rows
    assert "label" not in alone
    firsts = [api.patch(model, "Italy", vector, layer, tokens=1).token for layer in range(LAYERS)]
    assert alone["token"].tolist() == firsts


def test_a_sweep_says_what_one_constant_answer_earns(model, vector, caplog):
    """Years begin with one digit, after a token that is the space before them."""
    with caplog.at_level("WARNING", logger="taskvectors"):
        found = api.sweep(model, ["Italy", "Peru"], vector, ["1850", "1860"])
    assert "tiny, template spaced: all 2 labels begin with the same token" in caplog.text
    assert [found.constant(metric) for metric in METRICS] == [1.0, 1.0]
    assert "° not above what one constant answer earns, 1.00" in found._repr_html_()
    apart = api.sweep(model, ["Italy", "Peru"], vector, ["1850", "2060"])
    assert apart.constant() == 0.5


def test_heads_are_those_of_the_naive_loop(model):
    mixed = [("France", "Tokyo"), ("Japan", "Paris")]
    found = api.sweep_heads(model, PAIRS, mixed, "Italy", "Rome")
    assert found["effect"].is_monotonic_decreasing
    adapter, template = model.adapter, model.template
    clean = [(Text(one), other) for one, other in PAIRS]
    encoded = adapter.encode((*template.exemplars(clean), *template.query(Text("Italy"))))
    with api.sweeping.read_heads(adapter, [(0, encoded.marks[EXEMPLAR.name])]) as heads:
        run(adapter, [whole(encoded)])
    (outputs,) = heads.on_host()
    shown = [(Text(one), other) for one, other in mixed]
    prompt = (*template.exemplars(shown), *template.query(Text("Italy")))
    # The first of these two is the space before the label, which all labels have.
    asked, answer = encode_query(adapter, prompt, template, "Rome")
    assert len(answer) == 2
    before, after = naive_effects(adapter, asked, outputs.float(), answer)
    for row in found.to_dict("records"):
        expected = float(after[row["layer"], row["head"]]) - before
        assert row["effect"] == pytest.approx(expected, abs=1e-5)


def test_images_are_paths_pictures_or_arrays_and_text_is_text(model, picture, tmp_path):
    path = tmp_path / "one.png"
    picture.save(path)
    replies = [api.ask(model, one, tokens=1) for one in (path, picture, np.asarray(picture))]
    assert len({reply.logit_difference for reply in replies}) == 1
    assert "data:image/png;base64," in replies[1]._repr_html_()
    assert 'alt="one.png"' in replies[0]._repr_html_()
    with pytest.raises(UserError, match=r"one\.png' is the path of an image, but a str is read as"):
        api.ask(model, str(path))
    path.write_bytes(b"no image")
    assert api.ask(model, str(path), tokens=1).asked == Text(str(path))
    with pytest.raises(UserError, match=r"the image .*one\.png is corrupt"):
        api.ask(model, path)


def noise(seed: int) -> Image.Image:
    """A picture of noise; others are of other sizes, with another number of placeholders."""
    shape = (30 + 14 * seed, 40, 3)
    values = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl"])
def test_a_picture_is_known_by_what_it_shows_and_not_by_its_path(family, tmp_path, monkeypatch):
    FAMILIES[family].save(tmp_path / "model")
    model = api.load(tmp_path / "model", device="cpu")
    expected = [api.ask(model, noise(seed), tokens=1).logit_difference for seed in (0, 1)]
    assert expected[0] != pytest.approx(expected[1], abs=1e-3)
    path = tmp_path / "shown.png"
    for seed in (0, 1, 0):
        noise(seed).save(path)
        reply = api.ask(model, path, tokens=1)
        assert reply.logit_difference == expected[seed]
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        noise(seed).save(tmp_path / str(seed) / "one.png")
        monkeypatch.chdir(tmp_path / str(seed))
        assert api.ask(model, Path("one.png"), tokens=1).logit_difference == expected[seed]
    link = tmp_path / "link.png"
    for seed in (0, 1):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / str(seed) / "one.png")
        read = api.read(model, [(link, "red")]).tensor
        assert torch.equal(read, api.read(model, [(noise(seed), "red")]).tensor)
    found = api.sweep(model, [path], api.read(model, PAIRS))
    assert set(found.rows["query"]) == {str(path)}


def test_a_reply_outlives_its_model(tmp_path, tiny_folder, picture):
    model = api.load(tiny_folder, device="cpu")
    reply = api.ask(model, picture, tokens=1)
    model._folder.cleanup()
    assert "<td>image</td>" in reply._repr_html_()


def test_a_tensor_is_shown_as_the_array_of_its_values(model, picture):
    values = np.asarray(picture)
    expected = model.place(values)
    floats = torch.tensor(values).permute(2, 0, 1) / 255
    for shown in (torch.tensor(values), floats.double().requires_grad_(), floats.bfloat16()):
        assert model.place(shown) == expected


@pytest.mark.parametrize(
    ("shown", "complaint"),
    [
        (np.full((9, 9, 3), 128.0), r"the array of shape \(9, 9, 3\) and type float64 is no image"),
        (np.zeros((3, 9, 3), np.uint8), "its channels may be the first axis or the last"),
        (torch.full((3, 9, 9), float("nan")), r"values of type float32 are not between 0 and 1"),
        (Image.fromarray(np.full((2, 2), 9.5, np.float32)), "the opened image is corrupt .*mode F"),
        (Path("none.png"), r"the image none\.png is missing; give another"),
        (b"bytes", "a bytes is neither a text nor an image"),
        (None, "a NoneType is neither"),
    ],
)
def test_what_is_no_picture_is_said(model, shown, complaint):
    with pytest.raises(UserError, match=complaint):
        api.ask(model, shown)


def test_an_opened_image_that_was_closed_is_said(model, picture, tmp_path):
    picture.save(tmp_path / "closed.png")
    with Image.open(tmp_path / "closed.png") as opened:
        pass
    with pytest.raises(UserError, match=r"opened image .*closed\.png is corrupt \(its file was"):
        api.ask(model, opened)


def test_half_of_a_character_is_refused_before_the_model_runs(model):
    half = "Fr\ud83dance"
    refused = pytest.raises(
        UserError, match=r"the text '.*Fr\\ud83dance.*' has half of a character"
    )
    for call in (
        lambda: api.ask(model, half),
        lambda: api.ask(model, "Italy", [("France", half)]),
        lambda: api.ask(model, "Italy", instruction=half),
        lambda: api.read(model, [(half, "Paris")]),
        lambda: api.read(model, instruction=half),
        lambda: api.sweep(model, ["Italy"], api.read(model, PAIRS), [half]),
    ):
        with refused:
            call()
    assert api.ask(model, "\U0001f600", tokens=1).token is not None


def test_vectors_are_weighed_by_their_prompts_and_specifications_alike(model, picture):
    one, two = api.read(model, PAIRS[:1]), api.read(model, PAIRS[1:])
    both = api.average([one, two])
    torch.testing.assert_close(both.tensor, (one.tensor + two.tensor) / 2)
    three = api.average([both, api.read(model, PAIRS)])
    expected = (one.tensor + two.tensor + api.read(model, PAIRS).tensor) / 3
    torch.testing.assert_close(three.tensor, expected)
    rule = api.read(model, instruction=CAPITAL)
    ensemble = api.average([one, two, rule])
    torch.testing.assert_close(ensemble.tensor, (both.tensor + rule.tensor) / 2)
    assert ensemble.about.specification == "text_icl+instruction"
    seen = api.read(model, [(picture, "red")], licence="CC0")
    assert seen.about.specification == "image_icl"
    assert api.average([seen, one]).about.licence == "CC0"


def test_a_saved_vector_comes_back_and_one_that_does_not_fit_is_refused(
    model, vector, tmp_path, caplog
):
    vector.save(tmp_path / "v.safetensors")
    again = api.open_vector(tmp_path / "v.safetensors", model)
    assert torch.equal(again.tensor, vector.tensor) and again.about == vector.about
    other = TaskVector(torch.zeros(LAYERS + 1, WIDTH), vector.about)
    other.save(tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=rf"w\.safetensors has shape \({LAYERS + 1}, {WIDTH}\)"):
        api.open_vector(tmp_path / "w.safetensors", model)
    with pytest.raises(UserError, match="the vector has shape"):
        api.patch(model, "Italy", other, 0)
    with pytest.raises(UserError, match="cannot be averaged"):
        api.average([vector, other])
    theirs = api.vectors.replace(vector.about, model="other", revision="abc")
    TaskVector(vector.tensor, theirs).save(tmp_path / "x.safetensors")
    with caplog.at_level(logging.WARNING, "taskvectors"):
        api.open_vector(tmp_path / "x.safetensors", model)
    assert "was read in other at abc, not in tiny at " in caplog.text
    with pytest.raises(UserError, match=r"gone\.safetensors is missing"):
        api.open_vector(tmp_path / "gone.safetensors")


def test_two_models_of_one_name_are_told_apart(model, vector, tmp_path):
    """As two runs that both end in a folder ``tiny``."""
    folder = tmp_path / "run-b/tiny"
    FAMILIES["llava"].save(folder)
    path = folder / "model.safetensors"
    negated = {name: -weight for name, weight in load_file(path).items()}
    save_file(negated, path, {"format": "pt"})
    other = api.load(folder, device="cpu")
    assert other.name == model.name and len(other.revision) == 64 == len(model.revision)
    theirs = api.read(other, PAIRS)
    with pytest.raises(UserError, match="cannot be averaged"):
        api.average([vector, theirs])
    with pytest.raises(UserError, match="the vector was read in another tiny"):
        api.patch(model, "Italy", theirs, 1)
    theirs.save(tmp_path / "v.safetensors")
    with pytest.raises(UserError, match=r"v\.safetensors was read in another tiny \(revision"):
        api.open_vector(tmp_path / "v.safetensors", model)
    TaskVector(theirs.tensor, api.vectors.replace(theirs.about, revision=None)).save(
        tmp_path / "w.safetensors"
    )
    with pytest.raises(UserError, match="does not say which tiny it was read in"):
        api.open_vector(tmp_path / "w.safetensors")
    again = api.load(folder, device="cpu")
    assert api.average([theirs, api.read(again, PAIRS)]).about.prompts == 2


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda m, v: api.read(m), "from exemplars or from an instruction; give one"),
        (lambda m, v: api.read(m, PAIRS, instruction=CAPITAL), "give one of them"),
        (lambda m, v: api.read(m, [PAIRS[0], (np.zeros((8, 8, 3), np.uint8), "b")]), "not both"),
        (lambda m, v: api.patch(m, "Italy", v, LAYERS), f"has layers 0 to {LAYERS - 1}, not"),
        (lambda m, v: api.sweep(m, ["a", "b"], v, ["c"]), "there are 2 queries but 1 labels"),
        (lambda m, v: api.average([]), "no vector to average"),
        (lambda m, v: api.compare({"v": v}, LAYERS), f"layers 0 to {LAYERS - 1}, not {LAYERS}"),
        (lambda m, v: api.load("no-such-model"), "is neither a folder nor a model"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(model, vector, call, complaint):
    with pytest.raises(UserError, match=complaint):
        call(model, vector)


def test_vectors_and_sweeps_print_in_a_notebook(model, vector):
    html = vector._repr_html_()
    assert "<th>specification</th><td>text_icl</td>" in html and "(3, 32)" in html
    assert "accuracy" in api.sweep(model, ["Italy"], vector, ["Rome"])._repr_html_()
    assert "logit_difference" in api.sweep(model, ["Italy"], vector)._repr_html_()


def test_a_control_vector_is_in_llama_cpps_layout(vector, tmp_path):
    vector.save_gguf(tmp_path / "v.gguf", 1)
    found = GGUFReader(tmp_path / "v.gguf")
    assert found.get_field("general.architecture").contents() == "controlvector"
    assert found.get_field("controlvector.model_hint").contents() == "tiny"
    assert found.get_field("controlvector.layer_count").contents() == 1
    (tensor,) = found.tensors
    assert tensor.name == "direction.1" and tensor.data.dtype == np.float32
    assert torch.equal(torch.tensor(tensor.data), vector.tensor[1])
    for layer in (0, LAYERS):
        with pytest.raises(UserError, match=f"one of the layers 1 to {LAYERS - 1}, not {layer}"):
            vector.save_gguf(tmp_path / "w.gguf", layer)
    assert not (tmp_path / "w.gguf").exists()
