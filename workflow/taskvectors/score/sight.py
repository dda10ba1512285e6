"""``python -m taskvectors.score.sight``: what a model sees in images, and whether it uses it.

Beside each number of images stands the written names', which a model would come to that saw
perfectly. *Naming* is open and greedy: after exemplars that repeat a word, every token of the name,
and of the end the first, has to be the likeliest of the whole vocabulary. *Neutral questions*
(`taskvectors.study.neutral`) are asked in context and scored by balanced accuracy, the mean over
answers of the share that is right, of which a constant answer earns one over the number of answers.
*Geometry* compares the tokens of images, and of names, with the vocabulary's embeddings.
"""

import argparse
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.engine.patching import first_answers
from taskvectors.engine.trees import continued
from taskvectors.jobs.arguments import add_model, add_template, load_model, load_template
from taskvectors.jobs.queries import asked_together
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import encode_query
from taskvectors.study.manifest import CollectedImage, read_manifest
from taskvectors.study.neutral import read_neutral
from taskvectors.study.predictions import MODALITIES
from taskvectors.study.prompts import QUERY, ImageInput, Mark, Template, Text

log = logging.getLogger("taskvectors")
REPEATED = ("Bicycle", "Red Candle", "Umbrella", "Old Wooden Chair", "Telephone")
EXEMPLARS = 6  # of a neutral question
DRAWS = 2  # of these, by name
PROMPTS_PER_ROW = 32  # a row's attention grows with the square of its length
AT_ONCE = 256  # tokens that are compared with the whole vocabulary


@dataclass(frozen=True)
class Sighted:
    """A model that is looked into, with the images that it is shown."""

    adapter: Adapter
    template: Template
    images: list[CollectedImage]

    def asked(self, image: CollectedImage, modality: str) -> Text | ImageInput:
        """An image, or the name of what it shows, as a query's input."""
        return Text(image.entity) if modality == "text" else ImageInput(str(image.path))

    def answers(self, prompts: Sequence[Encoded], after: Sequence[range]) -> list[list[int]]:
        """The likeliest next tokens of prompts with the same exemplars, after these places of
        each."""
        rows, ends = [], []
        for first in range(0, len(prompts), PROMPTS_PER_ROW):
            some = slice(first, first + PROMPTS_PER_ROW)
            row, lasts = asked_together(prompts[some])
            rows.append(row)
            ends.append(
                [
                    last + 1 - len(prompt.ids) + place
                    for prompt, places, last in zip(prompts[some], after[some], lasts, strict=True)
                    for place in places
                ]
            )
        answers = chain.from_iterable(first_answers(self.adapter, rows, ends))
        return [[next(answers).token_id for _ in places] for places in after]


def named_greedily(sighted: Sighted, modality: str) -> list[bool]:
    """Whether each image's name is written greedily, to its end, after exemplars that repeat.

    A greedy answer is the name exactly where each token of the name is the likeliest after those
    before it, so that one pass over prompts that have their names in them decides.
    """
    template, named = sighted.template, Mark("named")
    shown = template.exemplars([(Text(word), word) for word in REPEATED])
    ending = Text(template.end + template.question)  # tokenised as between exemplars
    prompts, places, names = [], [], []
    for image in sighted.images:
        query = template.query(sighted.asked(image, modality))
        answer = (template.value(image.entity), named, ending)
        prompt = sighted.adapter.encode((*shown, *query, *answer))
        first, last = prompt.marks[QUERY.name], prompt.marks[named.name]
        prompts.append(prompt)
        places.append(range(first, last + 1))
        names.append(prompt.ids[first + 1 : last + 2])  # with the first token of the ending
    said = sighted.answers(prompts, places)
    return [answer == name for answer, name in zip(said, names, strict=True)]


def draw_exemplars(answers: dict[str, str], name: str) -> list[str]:
    """Entities for a neutral question's exemplars: of each answer in turn, of which there are
    enough that some are left to be asked about. Fewer than `EXEMPLARS` where there are too few."""
    rng = random.Random(name)
    by_answer: dict[str, list[str]] = {}
    for entity, answer in sorted(answers.items()):
        by_answer.setdefault(answer, []).append(entity)
    enough = [some for some in by_answer.values() if len(some) > EXEMPLARS // 2]
    shown = rng.sample(enough, min(len(enough), EXEMPLARS))
    mixed = [rng.sample(some, EXEMPLARS) if len(some) > EXEMPLARS else some for some in shown]
    turns = [entity for turn in zip_longest(*mixed) for entity in turn if entity is not None]
    chosen = turns[:EXEMPLARS]
    return rng.sample(chosen, len(chosen))


def answered_rightly(
    sighted: Sighted, answers: dict[str, str], modality: str, shown: Sequence[str]
) -> pd.DataFrame:
    """A neutral question about every image but those of the exemplars ``shown``, which are named:
    ``answer`` and whether it is ``right``."""
    pairs = [(Text(entity), answers[entity]) for entity in shown]
    exemplars = sighted.template.exemplars(pairs)
    rest = [one for one in sighted.images if one.entity in answers and one.entity not in shown]
    encoded = [
        encode_query(
            sighted.adapter,
            (*exemplars, *sighted.template.query(sighted.asked(image, modality))),
            sighted.template,
            answers[image.entity],
        )
        for image in rest
    ]
    prompts = [continued(prompt, judged[:-1]) for prompt, judged in encoded]
    ends = [len(prompt.ids) for prompt in prompts]
    places = [range(end - len(judged), end) for end, (_, judged) in zip(ends, encoded, strict=True)]
    said = sighted.answers(prompts, places)
    right = [tuple(answer) == judged for answer, (_, judged) in zip(said, encoded, strict=True)]
    return pd.DataFrame({"answer": [answers[image.entity] for image in rest], "right": right})


def measure_naming(sighted: Sighted, modality: str) -> Iterator[dict[str, Any]]:
    """The share of images that are named greedily, by entity set."""
    sets = [image.entity_set for image in sighted.images]
    right = pd.Series(named_greedily(sighted, modality)).groupby(sets)
    for entity_set, value in right.mean().items():
        items = int(right.size()[entity_set])
        yield {"measure": "naming", "of": entity_set, "value": value, "items": items}


def measure_neutral(
    sighted: Sighted, questions: dict[str, dict[str, str]], modality: str
) -> Iterator[dict[str, Any]]:
    """Balanced accuracy of every neutral question, over all draws of exemplars; none of one that
    there are too few images for."""
    for question, answers in questions.items():
        shown = [draw_exemplars(answers, f"{question}/{draw}") for draw in range(DRAWS)]
        if len(shown[0]) < EXEMPLARS or len(answers) == EXEMPLARS:
            log.warning("%s is not asked: too few images for %d exemplars", question, EXEMPLARS)
            continue
        draws = [answered_rightly(sighted, answers, modality, some) for some in shown]
        by_answer = pd.concat(draws).groupby("answer")["right"].mean()
        yield {
            "measure": "neutral question",
            "of": question,
            "value": by_answer.mean(),
            "constant": 1 / len(by_answer),
            "items": sum(map(len, draws)),
        }


@torch.inference_mode()
def measure_geometry(sighted: Sighted, modality: str) -> Iterator[dict[str, Any]]:
    """Mean norm over the vocabulary's mean norm, and mean over tokens of the largest cosine to
    any embedding of the vocabulary."""
    adapter = sighted.adapter
    vocabulary = adapter.model.get_input_embeddings().weight.float()
    tokens = torch.cat([embedded(sighted, image, modality) for image in sighted.images]).float()
    unit = F.normalize(vocabulary, dim=-1)
    cosines = torch.cat(
        [(F.normalize(some, dim=-1) @ unit.T).amax(1) for some in tokens.split(AT_ONCE)]
    )
    ratio = tokens.norm(dim=-1).mean() / vocabulary.norm(dim=-1).mean()
    for name, value in (("norm ratio", ratio), ("largest cosine", cosines.mean())):
        yield {"measure": "tokens", "of": name, "value": float(value), "items": len(tokens)}


def embedded(sighted: Sighted, image: CollectedImage, modality: str) -> Tensor:
    """The input embeddings (tokens, width) of an image, or of its name."""
    adapter = sighted.adapter
    if modality == "image":
        (shown,) = adapter.features.all_of([str(image.path)], adapter.image_features)
        return shown.features
    text = sighted.template.value(image.entity).text
    ids = torch.tensor([token for token, _, _ in adapter.tokens(text)], device=adapter.device)
    return adapter.model.get_input_embeddings()(ids)


def arguments() -> argparse.Namespace:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument(
        "--manifests", required=True, type=Path, nargs="+", help="of the images evaluated"
    )
    parser.add_argument("--neutral", required=True, type=Path, help="resources/neutral.yaml")
    parser.add_argument("--out", required=True, type=Path)
    return parse(parser)


def main() -> None:
    args = arguments()
    adapter = load_model(args)
    images = [image for path in args.manifests for image in read_manifest(path)]
    sighted = Sighted(adapter, load_template(args, adapter), images)
    questions = read_neutral(args.neutral, images)
    rows = []
    for modality in MODALITIES:
        found = [
            *measure_naming(sighted, modality),
            *measure_neutral(sighted, questions, modality),
            *measure_geometry(sighted, modality),
        ]
        rows += [{"modality": modality, **row} for row in found]
    columns = ["measure", "of", "modality", "value", "constant", "items"]
    write_frame(args.out, pd.DataFrame(rows, columns=columns))
    log.info("%d measures of what %s sees", len(rows), args.name)


if __name__ == "__main__":
    run_command(main)
