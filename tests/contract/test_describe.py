"""Descriptions by a model: what is written is one plain generation, and what is taken of it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import yaml

from taskvectors import describe
from taskvectors.base.errors import UserError
from taskvectors.base.files import read_jsonl
from taskvectors.engine.generate import generate
from taskvectors.study.descriptions import read_descriptions
from taskvectors.study.prompts import ImageInput, Text, find_template

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "resources/templates.yaml"
HEADER = "entity_set,entity,file,sha256,rendering,author,licence,licence_url,package,version,path"
TASKS = {
    "food-color": {"entity_set": "foods", "label": "color", "instruction": "The color:"},
    "food-flavor": {"entity_set": "foods", "label": "flavor", "instruction": "The flavor:"},
}
GOOD = "A round fruit with a short stem that grows on trees in orchards."


@pytest.mark.parametrize(
    ("written", "taken"),
    [
        (" A fruit. It is ripe. And", "A fruit. It is ripe."),
        ("A fruit.\nQ: next.", "A fruit."),
        ("no end", ""),
        ("", ""),
        ("\n", ""),
    ],
)
def test_whole_sentences_of_the_first_line_are_taken(written, taken):
    assert describe.sentences(written) == taken


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (GOOD, ""),
        ("Too short.", "10 characters"),
        ("long " * 60 + ".", "301 characters"),
        ("A red, round fruit with a short stem that grows on trees.", "it says red"),
        ("An apple is a round fruit with a short stem, on trees.", "it says apple"),
    ],
)
def test_what_gives_the_answer_away_or_is_no_description_is_left_out(text, reason):
    assert describe.why_not(text, "Apple", ["red", "sweet"]).lower() == reason


@pytest.fixture
def run(tmp_path, checkpoint, images, monkeypatch):
    """A function that runs the command on two foods and a country; gives the folder it makes."""
    foods = "entity,title,emoji,color,flavor\nApple,Apple,,red,sweet\nLime,Lime,,green,sour\n"
    (tmp_path / "foods.csv").write_text(foods)
    (tmp_path / "tasks.yaml").write_text(yaml.safe_dump(TASKS))
    names = [("foods", "Apple"), ("foods", "Lime"), ("countries", "Chad")]
    rows = []
    for number, (entity_set, name) in enumerate(names):
        (tmp_path / f"{name}.png").write_bytes(Path(images[number]).read_bytes())
        rows.append(f"{entity_set},{name},{name}.png,0,x,a,l,u,p,1,q")
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]) + "\n")

    def command() -> Path:
        arguments = [
            *("--model", str(checkpoint), "--name", "tiny", "--dtype", "float32"),
            *("--templates", str(TEMPLATES), "--tasks", str(tmp_path / "tasks.yaml")),
            *("--studied", *TASKS, "--entities", str(tmp_path / "foods.csv")),
            *("--manifests", str(tmp_path / "manifest.csv"), "--out", str(tmp_path / "out")),
        ]
        monkeypatch.setattr(sys, "argv", ["command", *arguments])
        describe.main()
        return tmp_path / "out"

    return command


def test_a_model_that_describes_nothing_is_named_and_nothing_is_written(run, tmp_path):
    with pytest.raises(UserError, match="of foods the model tiny described no image in a way"):
        run()
    assert not (tmp_path / "out").exists()


def test_each_image_is_asked_about_once_and_what_is_taken_can_be_read_again(
    run, monkeypatch, checkpoint, load, tmp_path
):
    written = iter([GOOD + " And", "A red thing that hangs from a tree in every garden here."])
    taken = {}
    real = describe.sentences

    def heard(text: str) -> str:
        taken[text] = next(written)
        return real(taken[text])

    monkeypatch.setattr(describe, "sentences", heard)
    out = run()
    assert read_descriptions(out / "descriptions.yaml") == {"foods": {"Apple": GOOD, "Lime": real(
        "A red thing that hangs from a tree in every garden here."
    )}}  # fmt: skip
    lines = read_jsonl(out / "written.jsonl")
    assert [(line["entity"], line["left_out"]) for line in lines] == [("Apple", ""), ("Lime", "")]
    adapter, spaced = load(checkpoint, "tiny"), find_template(TEMPLATES, "spaced")
    for line in lines:
        shown = ImageInput(str(tmp_path / f"{line['entity']}.png"))
        prompt = adapter.encode((Text(describe.ASKED + "\n\n"), *spaced.query(shown)))
        (ids,) = generate(adapter, [prompt], describe.TOKENS, one_line=True)
        assert line["written"] == adapter.tokenizer.decode(ids)
