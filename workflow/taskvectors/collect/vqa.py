"""``python -m taskvectors.collect.vqa``: tasks "in the wild", mined from VQAv2.

They are those of Table 4 of the ICML version. From the official files as they lie on disk it makes
a folder of one's own images for each task: photographs of COCO, the commonest answer as the label,
and a description as the text. Nothing is fetched. Which questions make a task stands in
resources/wild.yaml, and is this project's choice: the authors' is not at hand.
"""

import argparse
import hashlib
import json
import logging
import re
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import folder_written_whole, read_json, read_jsonl, sha256, write_json
from taskvectors.base.frames import write_frame
from taskvectors.base.schemas import check, read_yaml

log = logging.getLogger("taskvectors")
# What is read of the official files: the lists, and what each of their entries has.
Parts = Mapping[str, Mapping[str, type]]
QUESTIONS: Parts = {"questions": {"question_id": int, "image_id": int, "question": str}}
ANSWERS: Parts = {
    "annotations": {"question_id": int, "multiple_choice_answer": str, "answers": list}
}
GIVEN: Parts = {"answers": {"answer": str}}  # of each of those
CAPTIONS: Parts = {
    "images": {"id": int},
    "annotations": {"id": int, "image_id": int, "caption": str},
    "licenses": {"id": int, "name": str},
}
NAMES = {int: "a whole number without a point", str: "a text", list: "a list"}
# `file_name` as Hugging Face's imagefolder wants it.
COLUMNS = ["entity", "file_name", "text", "author", "licence", "source"]


@dataclass(frozen=True)
class WildTask:
    """An entity set mined from VQAv2: the label's column, and the questions as they are asked."""

    entity_set: str
    label: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Photograph:
    """What COCO says of an image: its captions, in the order of their numbers; where it is from."""

    captions: tuple[str, ...]
    licence: str
    source: str


def read_wild(path: Path) -> list[WildTask]:
    """The mined entity sets. Raises `UserError` where the file is not valid."""
    raw = read_yaml(path)
    check(raw, "wild", str(path))
    return [
        WildTask(name, one["label"], tuple(map(plain, one["questions"])))
        for name, one in raw.items()
    ]


def plain(question: str) -> str:
    """A question as it is compared: lower case, single spaces, without its question mark."""
    return " ".join(question.lower().replace("?", " ").split())


def read_photographs(path: Path) -> dict[int, Photograph]:
    """COCO's captions file (``captions_<split>2014.json``) by image.

    Raises `UserError` where it has another form.
    """
    found = read_official(path, CAPTIONS)
    licences = {one["id"]: one["name"] for one in found["licenses"]}
    captions: dict[int, list[tuple[int, str]]] = {}
    for one in found["annotations"]:
        text = " ".join(one["caption"].split())
        captions.setdefault(one["image_id"], []).append((one["id"], text))
    return {
        image["id"]: Photograph(
            tuple(text for _, text in sorted(captions.get(image["id"], []))),
            licences.get(image.get("license"), ""),
            image.get("flickr_url") or image.get("coco_url") or "",
        )
        for image in found["images"]
    }


def read_official(path: Path, parts: Parts) -> dict[str, Any]:
    """An official JSON file. Raises `UserError` where it lacks one of its lists, or an entry of one
    lacks a key or has something else there."""
    if not path.is_file():
        raise UserError(f"{path} is missing; docs/in-the-wild.md says which files are needed.")
    found = read_json(path)
    check_official(str(path), found, parts)
    return found


def check_official(place: str, found: Any, parts: Parts) -> None:
    """Raise `UserError` naming what is not as in the official files; ``place`` is the file, or the
    entry in it."""
    for part, kinds in parts.items():
        entries = found.get(part) if isinstance(found, dict) else None
        if not isinstance(entries, list):
            raise UserError(
                f"{place} has no list {part!r}; name the official file (docs/in-the-wild.md)."
            )
        for number, one in enumerate(entries):
            has = one if isinstance(one, dict) else {}
            lacking = [key for key, kind in kinds.items() if type(has.get(key)) is not kind]
            if lacking:
                wanted = " and ".join(f"{NAMES[kinds[key]]} as {key}" for key in lacking)
                raise UserError(
                    f"{place}, {part} {number} has not {wanted}; name the official file "
                    "(docs/in-the-wild.md)."
                )


def mined(
    task: WildTask, questions: list[dict[str, Any]], answers: dict[int, str], most: int
) -> list[tuple[int, int, str]]:
    """(question, image, label) of a task, one an image, at most ``most``.

    Of an image asked twice, the question with the lowest number counts; which images are taken
    hangs on the questions' numbers alone, so that it is the same draw everywhere.
    """
    by_image: dict[int, tuple[int, int, str]] = {}
    for one in sorted(questions, key=lambda one: one["question_id"]):
        number = one["question_id"]
        if plain(one["question"]) in task.questions and number in answers:
            by_image.setdefault(one["image_id"], (number, one["image_id"], answers[number]))
    drawn = sorted(by_image.values(), key=lambda one: hashlib.sha256(b"%d" % one[0]).hexdigest())
    return sorted(drawn[:most])


def agreed_answers(annotations: list[dict[str, Any]], agreeing: int) -> dict[int, str]:
    """Question to the commonest answer, where as many as ``agreeing`` of the ten people gave it."""
    agreed = {}
    for one in annotations:
        counts = Counter(" ".join(given["answer"].split()) for given in one["answers"])
        answer = " ".join(one["multiple_choice_answer"].split())
        if answer and counts[answer] >= agreeing:
            agreed[one["question_id"]] = answer
    return agreed


def image_file(subtype: str, image: int) -> str:
    """The name of a COCO image's file."""
    return f"COCO_{subtype}_{image:012d}.jpg"


def described(descriptions: Path | None, photographs: dict[int, Photograph]) -> dict[int, str]:
    """Image to its description: its line of a file of one's own, else its captions, one after
    another. Raises `UserError` naming a line that is not ``{"image_id": ..., "description": ...}``.
    """
    texts = {
        image: " ".join(text if text.endswith(".") else f"{text}." for text in one.captions)
        for image, one in photographs.items()
        if one.captions
    }
    for line, row in enumerate(read_jsonl(descriptions) if descriptions else [], start=1):
        match row:
            case {"image_id": image, "description": str(text)} if (
                type(image) is int and text.split()
            ):
                texts[image] = " ".join(text.split())
            case _:
                raise UserError(
                    f"{descriptions}, line {line}: {NAMES[int]} as image_id and a description are "
                    "needed; mend it."
                )
    return texts


def write_set(
    task: WildTask,
    found: list[tuple[int, int, str]],
    texts: dict[int, str],
    photographs: dict[int, Photograph],
    images: Path,
    subtype: str,
    out: Path,
) -> int:
    """Write ``out/<entity set>/`` with metadata.csv and the images; returns how many.

    Raises `UserError` naming the first image that is not there.
    """
    rows = []
    with folder_written_whole(out / task.entity_set) as folder:
        for question, image, label in found:
            file = image_file(subtype, image)
            if not (images / file).is_file():
                raise UserError(
                    f"{images / file} is missing; put COCO's {subtype} images into {images}."
                )
            # Without `val2014`: imagefolder takes `val` in a name for a split, and drops the table.
            copy = f"{image:012d}.jpg"
            shutil.copyfile(images / file, folder / copy)
            about = photographs.get(image, Photograph((), "", ""))
            said = [f"Question {question}", copy, texts[image], "", about.licence, about.source]
            rows.append({**dict(zip(COLUMNS, said, strict=True)), task.label: label})
        table = pd.DataFrame(rows, columns=[*COLUMNS, task.label])
        write_frame(folder / "metadata.csv", table)
    return len(rows)


def arguments() -> argparse.Namespace:
    parser = command_parser(__doc__)
    parser.add_argument("--questions", required=True, type=Path, help="VQAv2's questions, JSON")
    parser.add_argument("--annotations", required=True, type=Path, help="VQAv2's answers, JSON")
    parser.add_argument("--images", required=True, type=Path, help="a folder of COCO's images")
    parser.add_argument("--captions", type=Path, help="COCO's captions of these images, JSON")
    parser.add_argument("--descriptions", type=Path, help="JSON lines: image_id, description")
    parser.add_argument("--wild", type=Path, default=Path("resources/wild.yaml"))
    parser.add_argument("--agreeing", type=int, default=5, help="of ten people, on the answer")
    parser.add_argument("--most", type=int, default=400, help="images a task")
    parser.add_argument("--out", type=Path, default=Path("my"), help="where the folders go")
    args = parse(parser)
    if args.captions is None and args.descriptions is None:
        parser.error("descriptions are needed: --captions, --descriptions, or both")
    return args


def main() -> None:
    args = arguments()
    asked = read_official(args.questions, QUESTIONS)
    answered = read_official(args.annotations, ANSWERS)
    for number, one in enumerate(answered["annotations"]):
        check_official(f"{args.annotations}, annotations {number}", one, GIVEN)
    subtype = str(asked.get("data_subtype"))
    if re.fullmatch(r"(train|val|test)\d{4}", subtype) is None:
        raise UserError(
            f"{args.questions}: the data_subtype {subtype!r} is not COCO's, such as 'val2014'; "
            "name the official file."
        )
    photographs = read_photographs(args.captions) if args.captions else {}
    texts = described(args.descriptions, photographs)
    answers = agreed_answers(answered["annotations"], args.agreeing)
    questions = [one for one in asked["questions"] if one["image_id"] in texts]
    counts = {}
    for task in read_wild(args.wild):
        found = mined(task, questions, answers, args.most)
        if not found:
            raise UserError(
                f"{args.questions} has no described image with a question of {task.entity_set} "
                f"that {args.agreeing} people agree on; see {args.wild}."
            )
        counts[task.entity_set] = write_set(
            task, found, texts, photographs, args.images, subtype, args.out
        )
    used = (args.questions, args.annotations, args.captions, args.descriptions, args.wild)
    about = {"images": counts, "agreeing": args.agreeing, "most": args.most}
    about |= {"sha256": {path.name: sha256(path) for path in used if path}}
    write_json(args.out / "vqa.json", about)
    log.info("%s in %s", json.dumps(counts), args.out)


if __name__ == "__main__":
    run_command(main)
