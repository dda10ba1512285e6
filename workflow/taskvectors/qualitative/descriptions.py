"""Dense descriptions as text queries: image ICL read, and patched into a text (paper, 3.3).

A description stands where a query's name would stand. Descriptions are long, so a task has one
set of exemplars per seed, described entities that are not test items, and its queries are
dealt out to the seeds in turn: one forward pass asks many queries after one context.
"""

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from taskvectors.base.errors import UserError
from taskvectors.base.progress import track
from taskvectors.engine.patching import (
    Begun,
    first_answers,
    patched_answers,
    plain_answers,
    until_text,
)
from taskvectors.engine.sweep import Site
from taskvectors.jobs.arguments import Context
from taskvectors.jobs.queries import Query, asked_together, prediction
from taskvectors.models.base import Encoded
from taskvectors.models.judged import encode_query
from taskvectors.qualitative.studied import Setting, Studied
from taskvectors.study.datasets import Item
from taskvectors.study.descriptions import leaks
from taskvectors.study.entities import Entity
from taskvectors.study.predictions import Prediction, method_name
from taskvectors.study.prompts import ImageInput, Prompt, Text
from taskvectors.study.vectors import parse_vector_name

log = logging.getLogger("taskvectors")
QUERIES_PER_ROW = 12


@dataclass(frozen=True)
class Described:
    """An item of a task with its dense description."""

    item: Item
    description: str


@dataclass(frozen=True)
class DescribedTask:
    """The described test items of a task, and the described entities that may be exemplars."""

    studied: Studied
    queries: list[Described]
    exemplars: list[Described]

    @property
    def name(self) -> str:
        return self.studied.task.name


def describe(
    one: Studied,
    descriptions: dict[str, str],
    entities: Sequence[Entity],
    images: dict[str, str],
) -> DescribedTask:
    """What can be asked and shown of a task; a description that gives its label away cannot."""
    test = {item.entity for item in one.items}
    queries: list[Described] = []
    exemplars: list[Described] = []
    for entity in entities:
        if entity.name not in descriptions or entity.name not in images:
            continue
        label, text = entity.labels[one.task.label], descriptions[entity.name]
        if leaks(text, entity.name, label):
            log.warning("%s: %s's description has its label", one.task.name, entity.name)
            continue
        split = "test" if entity.name in test else "validation"
        item = Item(one.task.name, split, entity.name, images[entity.name], label)
        (queries if entity.name in test else exemplars).append(Described(item, text))
    return DescribedTask(one, queries, exemplars)


def draw_exemplars(task: DescribedTask, seed: int, count: int) -> list[Described]:
    """The exemplars of a task under one seed. Raises `UserError` for too few."""
    if len(task.exemplars) < count:
        raise UserError(
            f"{task.name}: {len(task.exemplars)} described entities are no test items, but "
            f"a prompt needs {count}; describe more in resources/qualitative/descriptions.yaml."
        )
    return random.Random(f"{seed}/{task.name}/descriptions").sample(task.exemplars, k=count)


def described_prompt(
    setting: Setting, shown: Sequence[Described], specification: str, description: str
) -> Prompt:
    """A description after exemplars, which are descriptions themselves (text ICL) or images."""
    pairs = [
        (
            ImageInput(one.item.image) if specification == "image_icl" else Text(one.description),
            one.item.label,
        )
        for one in shown
    ]
    template = setting.template
    return (*template.exemplars(pairs), *template.query(Text(description)))


def answer_descriptions(
    setting: Setting, tasks: Sequence[DescribedTask], specifications: Sequence[str], count: int
) -> list[Prediction]:
    """Every description without context, in one seed's context and with all image ICL vectors.

    ``specifications`` are those of ``text_icl`` and ``image_icl`` that the model takes, and
    ``count`` the number of exemplars.
    """
    asked = [task for task in tasks if task.queries]
    predictions = []
    for task in track(asked, len(asked), f"describe {setting.model}"):
        queries = describe_queries(setting, task)
        for number, seed in enumerate(setting.seeds):
            dealt = queries[number :: len(setting.seeds)]
            shown = draw_exemplars(task, seed, count)
            for specification in specifications if dealt else ():
                predictions += _in_context(setting, task, dealt, shown, specification, seed)
    by_set = sorted(asked, key=lambda task: task.studied.task.entity_set)
    for _, group in groupby(by_set, key=lambda task: task.studied.task.entity_set):
        predictions += _alone(setting, list(group))
    return predictions


def describe_queries(setting: Setting, task: DescribedTask) -> list[Query]:
    """A task's descriptions as encoded text queries."""
    queries = []
    for one in task.queries:
        prompt = setting.template.query(Text(one.description))
        encoded = encode_query(setting.adapter, prompt, setting.template, one.item.label)
        queries.append(Query(one.item, "text", *encoded))
    return queries


def _alone(setting: Setting, tasks: Sequence[DescribedTask]) -> list[Prediction]:
    """The descriptions of tasks of one entity set, each asked once for all tasks that have it:
    unpatched, and patched with the tasks' image ICL vectors."""
    adapter = setting.adapter
    queries = {
        task.name: {q.item.entity: q for q in describe_queries(setting, task)} for task in tasks
    }
    prompts: dict[str, Encoded] = {}
    for asked in queries.values():
        for entity, query in asked.items():
            known = prompts.get(entity, query.encoded)
            prompts[entity] = replace(known, to_text=known.to_text or query.encoded.to_text)
    entities, encoded = list(prompts), list(prompts.values())
    vectors = {
        f"{task.name} {name}": vector
        for task in tasks
        for name, vector in task.studied.vectors.items()
        if parse_vector_name(name)[0] == "image_icl"
    }
    predictions = []
    for number, answer in enumerate(plain_answers(adapter, encoded)):
        for name, asked in queries.items():
            if entities[number] in asked:
                context = Context(setting.model, setting.template, name)
                query = asked[entities[number]]
                predictions.append(prediction(adapter, context, query, answer, "no_context"))
    sites = [Site(name, setting.layer) for name in vectors]
    for batch in patched_answers(adapter, encoded, vectors, sites) if sites else ():
        for number, site, answer in batch:
            name, _, vector = site.name.partition(" ")
            if entities[number] not in queries[name]:
                continue
            specification, seed = parse_vector_name(vector)
            predictions.append(
                prediction(
                    adapter, Context(setting.model, setting.template, name),
                    queries[name][entities[number]], answer,
                    method_name(specification, "text", "patch"),
                    specification=specification, seed=seed, layer=site.layer,
                )
            )  # fmt: skip
    return predictions


def _in_context(
    setting: Setting,
    task: DescribedTask,
    queries: Sequence[Query],
    shown: Sequence[Described],
    specification: str,
    seed: int,
) -> list[Prediction]:
    """The given queries of a task after one seed's exemplars."""
    adapter = setting.adapter
    texts = {one.item.entity: one.description for one in task.queries}
    prompts = [
        replace(
            adapter.encode(
                described_prompt(setting, shown, specification, texts[query.item.entity])
            ),
            to_text=query.encoded.to_text,
        )
        for query in queries
    ]
    per_row = QUERIES_PER_ROW if adapter.branching else 1
    chunks = [
        range(len(prompts))[first : first + per_row] for first in range(0, len(prompts), per_row)
    ]
    rows = [asked_together([prompts[number] for number in chunk]) for chunk in chunks]
    context = Context(setting.model, setting.template, task.name)
    method = method_name(specification, "text", "base")

    firsts = first_answers(adapter, [row for row, _ in rows], [ends for _, ends in rows])
    answers = until_text(adapter, list(map(Begun, prompts, chain(*firsts))))
    return [
        prediction(
            adapter, context, query, answer, method,
            specification=specification, seed=seed, within=prompt,
        )
        for query, prompt, answer in zip(queries, prompts, answers, strict=True)
    ]  # fmt: skip
