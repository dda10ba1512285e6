"""Tasks in the wild, mined from small files of the official form."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from datasets import load_dataset
from PIL import Image

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, sha256
from taskvectors.collect import vqa
from taskvectors.study.entities import read_entities
from taskvectors.study.own_images import read_own_images
from taskvectors.study.tasks import read_tasks

# image, question, the ten answers
ASKED = [
    (1, "What food is this?", ["pizza"] * 7 + ["bread"] * 3),
    (1, "What kind of food is this?", ["italian"] * 10),
    (2, "what  KIND of food is this", ["hot dog"] * 5 + ["dog"] * 5),
    (3, "What food is this?", ["cake"] * 4 + ["pie"] * 3 + ["tart"] * 3),
    (4, "Is this food?", ["yes"] * 10),
    (5, "What food is this?", ["soup"] * 10),  # never described
    (2, "What color is his shirt?", ["red"] * 9 + ["pink"]),
    (3, "What is the man holding?", ["racket"] * 10),
]
ANSWERED = {"question_id": 1, "multiple_choice_answer": "cat", "answers": [{"answer": "cat"}]}


@pytest.fixture
def official(tmp_path) -> dict[str, Path]:
    """The official files, of eight questions on five images."""
    questions, annotations = [], []
    for number, (image, question, answers) in enumerate(ASKED):
        ids = {"question_id": image * 1000 + number, "image_id": image}
        questions.append({**ids, "question": question})
        given = [{"answer": one, "answer_confidence": "yes"} for one in answers]
        annotations.append({**ids, "multiple_choice_answer": answers[0], "answers": given})
    captions = [
        {"id": 20 * image + n, "image_id": image, "caption": text}
        for image in (1, 2, 3, 4)
        for n, text in ((2, f"second of {image}."), (1, f"First of\n {image}"))
    ]
    images = [{"id": n, "license": n % 2, "flickr_url": f"http://f/{n}"} for n in (1, 2, 3, 4)]
    licences = [{"id": 1, "name": "Attribution License"}]
    parts = {
        "questions": {"data_subtype": "val2014", "questions": questions},
        "annotations": {"data_subtype": "val2014", "annotations": annotations},
        "captions": {"images": images, "licenses": licences, "annotations": captions},
    }
    for name, content in parts.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "val2014").mkdir()
    for image in range(1, 6):
        file = tmp_path / f"val2014/COCO_val2014_{image:012d}.jpg"
        Image.new("RGB", (40, 30), (40 * image, 0, 0)).save(file)
    return {name: tmp_path / f"{name}.json" for name in parts} | {"images": tmp_path / "val2014"}


def prepare(monkeypatch, official: dict[str, Path], root: Path, out: Path, *more: str) -> None:
    """Run the command."""
    words = [word for name, path in official.items() for word in (f"--{name}", str(path))]
    wild = ("--wild", str(root / "resources/wild.yaml"), "--out", str(out))
    monkeypatch.setattr(sys, "argv", ["vqa", *words, *wild, *more])
    vqa.main()


def test_each_task_becomes_a_folder_of_photographs_with_answers_and_captions(
    monkeypatch, official, root, tmp_path
):
    prepare(monkeypatch, official, root, tmp_path / "my")
    foods = read_entities(tmp_path / "my/wild-foods/metadata.csv")
    # Image 1 is asked twice; four of ten agree on image 3; 4 asks something else.
    assert [(one.name, one.labels) for one in foods] == [
        ("Question 1000", {"food": "pizza"}),
        ("Question 2002", {"food": "hot dog"}),
    ]
    assert foods[0].text == "First of 1. second of 1."
    first, second = read_own_images(tmp_path / "my/wild-foods/metadata.csv")
    assert (first.licence, first.source) == ("Attribution License", "http://f/1")
    assert (second.licence, second.author) == ("", "")  # not said, and so not guessed
    for image, one in ((1, first), (2, second)):
        assert sha256(one.path) == sha256(official["images"] / vqa.image_file("val2014", image))
    (shirt,) = read_entities(tmp_path / "my/wild-shirts/metadata.csv")
    (man,) = read_entities(tmp_path / "my/wild-men/metadata.csv")
    assert (shirt.labels, man.labels) == ({"color": "red"}, {"holding": "racket"})
    about = read_json(tmp_path / "my/vqa.json")
    assert about["images"] == {"wild-foods": 2, "wild-shirts": 1, "wild-men": 1}
    assert about["sha256"]["questions.json"] == sha256(official["questions"])


def test_hugging_faces_imagefolder_reads_the_folder(monkeypatch, official, root, tmp_path):
    prepare(monkeypatch, official, root, tmp_path / "my")
    folder = str(tmp_path / "my/wild-foods")
    found = load_dataset("imagefolder", data_dir=folder, cache_dir=str(tmp_path / "cache"))["train"]
    assert [(row["entity"], row["food"], row["image"].size) for row in found] == [
        ("Question 1000", "pizza", (40, 30)),
        ("Question 2002", "hot dog", (40, 30)),
    ]


def test_a_description_of_ones_own_takes_the_captions_place(monkeypatch, official, root, tmp_path):
    texts = tmp_path / "dense.jsonl"
    rows = [{"image_id": 1, "description": "A  round one."}, {"image_id": 5, "description": "Hot."}]
    texts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    prepare(monkeypatch, official, root, tmp_path / "my", "--descriptions", str(texts))
    foods = read_entities(tmp_path / "my/wild-foods/metadata.csv")
    assert [one.text for one in foods] == ["A round one.", "First of 2. second of 2.", "Hot."]
    for image, complaint in (
        *(("1", "a whole number without a point"), (4.0, "a whole number without a point")),
        *((True, "a whole number without a point"), (float("nan"), "NaN is no number in JSON")),
    ):
        texts.write_text(json.dumps({"image_id": image, "description": "A"}) + "\n")
        with pytest.raises(UserError, match=rf"dense\.jsonl, line 1.*{complaint}"):
            prepare(monkeypatch, official, root, tmp_path / "my", "--descriptions", str(texts))


def test_fewer_are_drawn_by_the_questions_numbers_alone(official):
    task = vqa.WildTask("wild-foods", "food", ("what food is this",))
    asked = [{"question_id": n, "image_id": n, "question": "What food is this?"} for n in range(50)]
    answers = dict.fromkeys(range(50), "pizza")
    some = vqa.mined(task, asked, answers, 10)
    assert some == vqa.mined(task, asked[::-1], answers, 10) == sorted(some)
    assert len(some) == 10 and some != vqa.mined(task, asked, answers, 50)[:10]
    assert set(some) < set(vqa.mined(task, asked, answers, 20))


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("questions", {"data_subtype": "val2014"}, r"questions\.json has no list 'questions'"),
        (
            "questions",
            {"data_subtype": "../val", "questions": []},
            r"data_subtype '\.\./val' is not COCO's",
        ),
        ("annotations", [], r"annotations\.json has no list 'annotations'"),
        (
            "annotations",
            {"annotations": [{"question_id": 1}]},
            r"annotations 0 has not a text as m",
        ),
        (
            "annotations",
            {"annotations": [{**ANSWERED, "question_id": 4.0}]},
            r"annotations 0 has not a whole number without a point as question_id; name the off",
        ),
        (
            "annotations",
            {"annotations": [{**ANSWERED, "answers": [{"answer": None}]}]},
            r"annotations 0, answers 0 has not a text as answer",
        ),
        (
            "questions",
            {
                "data_subtype": "val2014",
                "questions": [{"question_id": 1, "image_id": True, "question": "?"}],
            },
            r"questions 0 has not a whole number without a point as image_id",
        ),
        ("annotations", {"annotations": []}, r"no described image with a question of wild-foods"),
    ],
)
def test_a_file_of_another_form_is_named(
    monkeypatch, official, root, tmp_path, name, content, complaint
):
    official[name].write_text(json.dumps(content))
    with pytest.raises(UserError, match=complaint):
        prepare(monkeypatch, official, root, tmp_path / "my")


def test_a_missing_image_is_named_and_no_folder_is_left(monkeypatch, official, root, tmp_path):
    (official["images"] / "COCO_val2014_000000000002.jpg").unlink()
    with pytest.raises(UserError, match=r"COCO_val2014_000000000002\.jpg is missing; put COCO's"):
        prepare(monkeypatch, official, root, tmp_path / "my")
    assert not list((tmp_path / "my").rglob("*"))


def test_every_mined_set_has_a_task_that_asks_for_its_label(root):
    tasks = read_tasks(root / "resources/tasks.yaml").values()
    asked = {(task.entity_set, task.label) for task in tasks}
    mined = {(one.entity_set, one.label) for one in vqa.read_wild(root / "resources/wild.yaml")}
    assert mined <= asked
