"""What a model sees: many prompts in one row are answered as each of them alone is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from taskvectors.base.images import open_rgb
from taskvectors.models.judged import encode_query
from taskvectors.score.sight import (
    Sighted,
    answered_rightly,
    embedded,
    measure_geometry,
    measure_neutral,
)
from taskvectors.study.manifest import CollectedImage
from taskvectors.study.prompts import Template, Text

from .families import FAMILIES
from .test_judged import says

TEMPLATE = Template("spaced", "Q:", "\nA:", "\n\n", " ")
NAMES = ("Peru", "Japan", "France")


@pytest.fixture(scope="module")
def sighted(tmp_path_factory: pytest.TempPathFactory, images: list[str], load) -> Sighted:
    folder = tmp_path_factory.mktemp("embedded_open")
    FAMILIES["embedded_open"].save(folder)
    empty = dict.fromkeys(CollectedImage.__dataclass_fields__, "")
    shown = [
        CollectedImage(**empty | {"entity": name, "path": path, "entity_set": "countries"})
        for name, path in zip(NAMES, images, strict=True)
    ]
    return Sighted(load(folder, "embedded_open"), TEMPLATE, shown)


@pytest.mark.parametrize("modality", ["text", "image"])
def test_answers_in_one_row_are_those_of_each_prompt_alone(sighted, modality):
    adapter = sighted.adapter
    shown = TEMPLATE.exemplars([(Text("Dog"), "Dog"), (Text("Cat"), "Cat")])
    prompts = [
        adapter.encode((*shown, *TEMPLATE.query(sighted.asked(image, modality)), Text(" so on")))
        for image in sighted.images
    ]
    places = [range(len(prompt.ids) - 3, len(prompt.ids)) for prompt in prompts]
    found = sighted.answers(prompts, places)
    for prompt, image, tokens in zip(prompts, sighted.images, found, strict=True):
        inputs = {"input_ids": torch.tensor([prompt.ids], device=adapter.device)}
        if modality == "image":
            opened = open_rgb(Path(image.path))
            inputs |= adapter.processor.image_processor([opened]).to(adapter.device)
        alone = adapter.model(**inputs).logits[0, -3:].argmax(-1).tolist()
        assert tokens == alone


def test_a_question_is_judged_by_what_shows_text_of_its_answers(
    tmp_path_factory, images, sighted, load
):
    """The model says Zagreb to everything; the space before it is a token of its own."""
    folder = tmp_path_factory.mktemp("says")
    FAMILIES["embedded_open"].save(folder)
    model = Sighted(load(folder, "embedded_open"), TEMPLATE, sighted.images)
    query = TEMPLATE.query(Text("Peru"))
    says(model.adapter, encode_query(model.adapter, query, TEMPLATE, "Zagreb")[1])
    answers = {"Peru": "Oslo", "Japan": "Zagreb", "France": "Warsaw"}
    for modality in ("text", "image"):
        found = answered_rightly(model, answers, modality, ["Peru"])
        assert found["right"].tolist() == [True, False]


def test_the_geometry_of_names_is_the_vocabularys_and_that_of_images_is_measured(sighted):
    embeddings = sighted.adapter.model.get_input_embeddings().weight
    found = {
        modality: {row["of"]: row for row in measure_geometry(sighted, modality)}
        for modality in ("text", "image")
    }
    assert found["text"]["largest cosine"]["value"] == pytest.approx(1.0, abs=1e-5)
    tokens = torch.cat([embedded(sighted, image, "image") for image in sighted.images])
    ratio = float(tokens.norm(dim=-1).mean() / embeddings.norm(dim=-1).mean())
    assert found["image"]["norm ratio"]["value"] == pytest.approx(ratio, rel=1e-5)
    assert found["image"]["largest cosine"]["value"] < 0.99


def test_a_question_that_there_are_too_few_images_for_is_not_asked_and_says_so(sighted, caplog):
    asked = {"kind": dict.fromkeys(NAMES, "country")}
    with caplog.at_level("WARNING", logger="taskvectors"):
        assert list(measure_neutral(sighted, asked, "image")) == []
    assert "kind is not asked: too few images for 6 exemplars" in caplog.text
