"""Answers of several tokens for a few items, which Figures 5, 7, 9 and 10 show.

The items are the first ones of a task's test split, never picked, and what is seeded takes
the first seed. A patch is held on the query's delimiter throughout.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from taskvectors.base.progress import track
from taskvectors.engine.generate import generate
from taskvectors.jobs.instructed import instructed
from taskvectors.jobs.queries import asked, modalities_of
from taskvectors.models.base import Encoded
from taskvectors.models.judged import encode_query, judged_tokens
from taskvectors.qualitative.conflict import rivals_of
from taskvectors.qualitative.descriptions import DescribedTask, described_prompt, draw_exemplars
from taskvectors.qualitative.studied import Setting, Studied
from taskvectors.study.datasets import Item
from taskvectors.study.predictions import method_name
from taskvectors.study.prompts import Prompt, Text
from taskvectors.study.vectors import vector_name

TOKENS = 6
ITEMS = 2  # of each task; of each pair of tasks and each described entity set it is one


@dataclass(frozen=True)
class Case:
    """One answer to write; ``about`` is what a figure shows beside it."""

    kind: str
    item: Item
    method: str
    prompt: Prompt
    vector: Tensor | None = None
    about: dict[str, Any] = field(default_factory=dict)


def write_answers(
    setting: Setting, studied: Sequence[Studied], described: Sequence[DescribedTask], count: int
) -> list[dict[str, Any]]:
    """A line per case: what was asked, by which method, and what the model wrote.

    ``kind`` is transfer, conflict or description. The answer is right by what is judged of it,
    ``token``, which is empty where the model ended at once.
    """
    cases: list[Case] = []
    if modalities_of(setting.adapter)[-1] == "image":
        cases += transfer_cases(setting, studied)
    cases += conflict_cases(setting, studied)
    cases += description_cases(setting, described, count)
    groups: dict[tuple, list[int]] = {}
    for number, case in enumerate(cases):
        groups.setdefault((case.kind, case.method, id(case.vector)), []).append(number)
    lines: dict[int, dict[str, Any]] = {}
    for group in track(groups.values(), len(cases), f"write out {setting.model}", size=len):
        encoded = [encode_case(setting, cases[number]) for number in group]
        vector = cases[group[0]].vector
        patch = (None, None) if vector is None else (vector[setting.layer], setting.layer)
        written = generate(setting.adapter, encoded, TOKENS, *patch)
        for number, prompt, ids in zip(group, encoded, written, strict=True):
            judged = judged_tokens(setting.adapter, ids) if prompt.to_text else ids[:1]
            lines[number] = _line(setting, cases[number], ids, judged)
    return [lines[number] for number in range(len(cases))]


def encode_case(setting: Setting, case: Case) -> Encoded:
    """A case's prompt, answered to text where a label that is shown beside it asks for that."""
    labels = {case.item.label, case.about.get("patched_label", case.item.label)}
    prompts = [
        encode_query(setting.adapter, case.prompt, setting.template, label)[0] for label in labels
    ]
    return replace(prompts[0], to_text=any(prompt.to_text for prompt in prompts))


def _line(setting: Setting, case: Case, ids: list[int], judged: Sequence[int]) -> dict[str, Any]:
    decode = setting.adapter.tokenizer.decode
    return {
        "kind": case.kind,
        "model": setting.model,
        "template": setting.template.name,
        "task": case.item.task,
        "entity": case.item.entity,
        "image": case.item.image,
        "label": case.item.label,
        "method": case.method,
        "layer": None if case.vector is None else setting.layer,
        "token": decode(list(judged)),
        "text": decode(ids),
        **case.about,
    }


def transfer_cases(setting: Setting, studied: Sequence[Studied]) -> Iterator[Case]:
    """Image queries: without context, after text exemplars, and patched from text."""
    template, seed = setting.template, setting.seeds[0]
    for one in studied:
        labels = {item.entity: item.label for item in one.items}
        drawn = {s.query: s.exemplars for s in one.sets if (s.split, s.seed) == ("test", seed)}
        for item in one.items[:ITEMS]:
            query = template.query(asked(item, "image"))
            pairs = [(name, labels[name]) for name in drawn[item.entity]]
            context = template.exemplars([(Text(name), label) for name, label in pairs])
            about = {"exemplars": pairs, "instruction": one.task.instruction}
            yield Case("transfer", item, "no_context", query, None, about)
            yield Case("transfer", item, "text_icl_xbase", (*context, *query), None, about)
            for specification, vector in _vectors(one, seed, ("text_icl", "instruction")):
                method = method_name(specification, "image", "patch")
                yield Case("transfer", item, method, query, vector, about)


def conflict_cases(setting: Setting, studied: Sequence[Studied]) -> Iterator[Case]:
    """The first shared test item of every ordered pair of tasks, unpatched and patched."""
    modality = modalities_of(setting.adapter)[-1]
    for prompted in studied:
        for rival in rivals_of(prompted, studied):
            labels = {item.entity: item.label for item in rival.items}
            shared = [item for item in prompted.items if item.entity in labels]
            for item in shared[:1]:
                prompt = instructed(prompted.task.instruction, setting.template, item, modality)
                about = {
                    "patched": rival.task.name,
                    "patched_label": labels[item.entity],
                    "instruction": prompted.task.instruction,
                    "patched_instruction": rival.task.instruction,
                }
                yield Case("conflict", item, "prompt", prompt, None, about)
                wanted = ("instruction", "text_icl")
                for specification, vector in _vectors(rival, setting.seeds[0], wanted):
                    method = method_name(specification, modality, "patch")
                    yield Case("conflict", item, method, prompt, vector, about)


def description_cases(
    setting: Setting, tasks: Sequence[DescribedTask], count: int
) -> Iterator[Case]:
    """The first described test item of every entity set, asked its first task: in context, and
    patched from images."""
    seed = setting.seeds[0]
    first = {task.studied.task.entity_set: task for task in reversed(tasks)}
    for task in reversed(first.values()):
        for one in task.queries[:1]:
            shown = draw_exemplars(task, seed, count)
            about = {
                "description": one.description,
                "exemplars": [(each.item.image, each.item.label) for each in shown],
            }
            for specification, vector in _vectors(task.studied, seed, ("text_icl", "image_icl")):
                prompt = described_prompt(setting, shown, specification, one.description)
                method = method_name(specification, "text", "base")
                yield Case("description", one.item, method, prompt, None, about)
                if specification == "image_icl":
                    query = setting.template.query(Text(one.description))
                    patched = method_name(specification, "text", "patch")
                    yield Case("description", one.item, patched, query, vector, about)


def _vectors(
    one: Studied, seed: int, specifications: Sequence[str]
) -> Iterator[tuple[str, Tensor]]:
    """The wanted vectors (layers, width) that the task has, with their specifications."""
    for name in specifications:
        vector = one.vectors.get(vector_name(name, None if name == "instruction" else seed))
        if vector is not None:
            yield name, vector
