"""Task conflict and descriptions give what one plain pass per prompt and patch gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile

import pytest
import torch

from taskvectors.engine.forward import Answer, Patch, run
from taskvectors.engine.trees import whole
from taskvectors.qualitative.conflict import answer_conflicts
from taskvectors.qualitative.descriptions import Described, DescribedTask, answer_descriptions
from taskvectors.qualitative.studied import Setting, Studied
from taskvectors.qualitative.written import TOKENS, write_answers
from taskvectors.study.datasets import ExemplarSet, Item
from taskvectors.study.overriding import SYSTEM_PROMPT
from taskvectors.study.prompts import ImageInput, Text
from taskvectors.study.tasks import Task

from .test_contract import TEMPLATE
from .test_judged import naive_text

LAYER, SEEDS = 1, (1, 2)
# The first token of a Thai label is a byte, so that more is judged; a coin's is judged alone.
LABELS = {"capital": ["กรุงเทพ", "Lima"], "coin": ["cat", "blue"]}
TEXTS = {"France": "the cat sat", "Peru": "on a mat", "Kenya": "a dog"}


def icl_of(adapter) -> list[str]:
    """The exemplar specifications that the model takes."""
    return ["text_icl", "image_icl"] if adapter.image_text else ["text_icl"]


def studied_tasks(adapter, images) -> list[Studied]:
    """Two tasks of one entity set; the second lacks Peru."""
    generator = torch.Generator().manual_seed(2)
    tasks = []
    for number, (name, labels) in enumerate(LABELS.items()):
        items = [
            Item(name, "test", entity, images[n], labels[n])
            for n, entity in enumerate(("France", "Peru")[: 2 - number])
        ]
        shape = (len(adapter.layers), adapter.width)
        names = ["instruction", *[f"{icl}/{seed}" for icl in icl_of(adapter) for seed in SEEDS]]
        vectors = {vector: 3 * torch.randn(shape, generator=generator) for vector in names}
        sets = [ExemplarSet("test", 1, item.entity, (items[0].entity,)) for item in items]
        task = Task(name, "countries", name, f"The {name} of the country:")
        tasks.append(Studied(task, items, sets, vectors))
    return tasks


def one_pass(setting: Setting, prompt, vector=None, label="กรุงเทพ") -> Answer:
    """The answer of one prompt alone, patched at its last token or not, as far as it is judged."""
    encoded = setting.adapter.encode(prompt)
    last = len(encoded.ids) - 1
    patches = [] if vector is None else [Patch(0, last, LAYER, vector[LAYER])]
    _, (answer,) = run(setting.adapter, [whole(encoded)], patches=patches, answers=[(0, last)])
    if label in LABELS["coin"]:
        return answer
    first, *rest = naive_text(setting.adapter, encoded, *patches)
    assert first == answer.token_id
    return replace(answer, rest=tuple(rest))


def as_ids(answer: Answer) -> str:
    return " ".join(map(str, answer.token_ids))


def vector_of(one: Studied, specification: str | None, seed: int | None):
    if specification is None:
        return None
    return one.vectors[specification if seed is None else f"{specification}/{seed}"]


@pytest.fixture
def setting(adapter) -> Setting:
    return Setting(adapter, "m", TEMPLATE, LAYER, SEEDS)


def test_conflict_asks_one_task_and_patches_the_other(setting, adapter, images):
    studied = studied_tasks(adapter, images)
    by_name = {one.task.name: one for one in studied}
    answers = answer_conflicts(setting, studied)
    # France in both orders, each unpatched, after a system prompt and with every vector; Peru has
    # one label, no rival.
    assert len(answers) == 2 * (1 + 1 + 1 + 2 * len(icl_of(adapter)))
    for answer in answers:
        prompted, patched = by_name[answer.prompted], by_name[answer.patched]
        assert answer.prompted != answer.patched
        assert (answer.prompted_label, answer.patched_label) == (
            prompted.items[0].label,
            patched.items[0].label,
        )
        imaged = adapter.image_text is not None
        query = ImageInput(images[0]) if imaged else Text("France")
        prompt = (Text(prompted.task.instruction + "\n\n"), *TEMPLATE.query(query))
        vector = None
        if answer.specification == SYSTEM_PROMPT:
            prompt = (Text(patched.task.instruction + "\n\n"), *prompt)
        else:
            vector = vector_of(patched, answer.specification, answer.seed)
        expected = one_pass(setting, prompt, vector)
        assert (answer.token_id, answer.token_ids) == (expected.token_id, as_ids(expected))
        assert answer.logit_difference == pytest.approx(expected.logit_difference, abs=1e-3)
        assert answer.neighbourhood.endswith(">:<")
        judged = {
            answer.prompted: answer.prompted_label_token_ids,
            answer.patched: answer.patched_label_token_ids,
        }
        assert (" " in judged["capital"], " " in judged["coin"]) == (True, False)


def described_tasks(studied, images) -> list[DescribedTask]:
    kenya = Item("capital", "validation", "Kenya", images[2], "Nairobi")
    return [
        DescribedTask(
            one,
            [Described(item, TEXTS[item.entity]) for item in one.items],
            [Described(kenya, TEXTS["Kenya"])],
        )
        for one in studied
    ]


def test_descriptions_are_asked_alone_in_context_and_patched(setting, adapter, images):
    studied = studied_tasks(adapter, images)
    by_name = {one.task.name: one for one in studied}
    specifications = icl_of(adapter)
    tasks = described_tasks(studied, images)
    found = answer_descriptions(setting, tasks, specifications, 1)
    # Three queries of two tasks: alone, in one seed's contexts, and with two seeds' vectors.
    assert len(found) == 3 * (1 + len(specifications) + 2 * ("image_icl" in specifications))
    context = {
        "text_icl_base": Text(TEXTS["Kenya"]),
        "image_icl_xbase": ImageInput(images[2]),
    }
    for answer in found:
        query = TEMPLATE.query(Text(TEXTS[answer.entity]))
        prompt = query
        if answer.method in context:
            prompt = (*TEMPLATE.exemplars([(context[answer.method], "Nairobi")]), *query)
        patched = answer.method == "image_icl_xpatch"
        one = by_name[answer.task]
        vector = vector_of(one, "image_icl", answer.seed) if patched else None
        thai = " " in answer.label_token_ids
        expected = one_pass(setting, prompt, vector, "กรุงเทพ" if thai else "cat")
        assert (answer.token_id, answer.token_ids) == (expected.token_id, as_ids(expected))
        assert answer.logit_difference == pytest.approx(expected.logit_difference, abs=1e-3)
        assert thai == (answer.label == "กรุงเทพ")


def test_written_answers_begin_with_the_answer_of_one_pass(setting, adapter, images):
    studied = studied_tasks(adapter, images)[:1]
    lines = write_answers(setting, studied, described_tasks(studied, images), 1)
    methods = {line["method"] for line in lines}
    if not adapter.image_text:
        assert methods == {"text_icl_base"}
        return
    described = {"text_icl_base", "image_icl_xbase", "image_icl_xpatch"}
    shown = {"no_context", "text_icl_xbase", "text_icl_xpatch", "instruction_xpatch"}
    assert methods == described | shown
    (line,) = [one for one in lines if one["method"] == "text_icl_xpatch"][:1]
    query = TEMPLATE.query(ImageInput(line["image"]))
    answer = one_pass(setting, query, studied[0].vectors["text_icl/1"])
    stops = {*adapter.end_ids, adapter.placeholder_id}
    said = list(takewhile(lambda token: token not in stops, answer.token_ids))
    assert line["token"] == adapter.tokenizer.decode(said[:TOKENS])
