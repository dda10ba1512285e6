"""Neutral questions: asked about the study's images, but no task of it (resources/neutral.yaml).

They say whether a model makes use of an image, and a vision side may be chosen by them, since
none of their answers is a label of a task.
"""

from collections.abc import Sequence
from pathlib import Path

from taskvectors.base.schemas import check, read_yaml
from taskvectors.study.manifest import CollectedImage

NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight")


def read_neutral(path: Path, images: Sequence[CollectedImage]) -> dict[str, dict[str, str]]:
    """Every question's answers by entity, of the entities that have an image.

    Besides the questions of the file there are `letter`, a name's first letter, and `words`, how
    many words it has. An entity that a question does not fit has no answer to it. Raises
    `UserError` where the file is not valid.
    """
    raw = read_yaml(path)
    check(raw, "neutral", str(path))
    sets = {image.entity: image.entity_set for image in images}
    listed = {
        question: {entity: answer for answer, named in answers.items() for entity in named}
        for question, answers in raw.items()
        if question != "kind"
    }
    questions = {
        "kind": {name: raw["kind"][group] for name, group in sets.items() if group in raw["kind"]},
        "letter": {name: name[0] for name in sets},
        "words": {
            name: NUMBERS[count - 1]
            for name in sets
            if (count := len(name.split())) <= len(NUMBERS)
        },
        **listed,
    }
    return {
        question: {name: answer for name, answer in answers.items() if name in sets}
        for question, answers in questions.items()
    }
