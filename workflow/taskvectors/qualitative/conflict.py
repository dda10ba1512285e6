"""Task conflict: the prompt asks one task, and another task's vector is patched on top.

As in the paper's Figure 9 the prompt is the one task's instruction with the query after it
(instruction xbase), and the query is an image where the model takes images. Beside patching stands
the system prompt: the other task's instruction in front of all that, in words.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from taskvectors.base.progress import track
from taskvectors.engine.forward import Answer
from taskvectors.engine.patching import patched_answers, plain_answers
from taskvectors.engine.sweep import Site
from taskvectors.jobs.instructed import instructed
from taskvectors.jobs.queries import modalities_of, said
from taskvectors.models.base import Adapter, Encoded
from taskvectors.models.judged import encode_query
from taskvectors.qualitative.studied import Setting, Studied
from taskvectors.study.conflicts import ConflictAnswer
from taskvectors.study.datasets import Item
from taskvectors.study.overriding import SYSTEM_PROMPT
from taskvectors.study.prompts import QUERY, Template
from taskvectors.study.vectors import parse_vector_name


def rivals_of(prompted: Studied, studied: Sequence[Studied]) -> list[Studied]:
    """The other tasks of the same entity set, which can be asked about the same items."""
    mine = prompted.task
    return [
        one
        for one in studied
        if one.task.entity_set == mine.entity_set and one.task.name != mine.name
    ]


@dataclass(frozen=True)
class Conflict:
    """An item under the prompted task's instruction.

    ``labels`` maps the prompted task and its rivals to the item's label and the tokens of it that
    are judged; a rival that does not have the item is not there. ``forced`` are those before
    whose label the prompt was cut.
    """

    item: Item
    encoded: Encoded
    labels: dict[str, tuple[str, tuple[int, ...]]]
    forced: frozenset[str]


def plan_conflicts(
    adapter: Adapter, template: Template, prompted: Studied, rivals: Sequence[Studied]
) -> list[Conflict]:
    """Every test item of the prompted task, with the labels of all rivals that have it."""
    modality = modalities_of(adapter)[-1]
    labels_of = {
        one.task.name: {item.entity: item.label for item in one.items}
        for one in (prompted, *rivals)
    }
    planned = []
    for item in prompted.items:
        prompt = instructed(prompted.task.instruction, template, item, modality)
        labels, forced = {}, set()
        for name, known in labels_of.items():
            if item.entity in known:
                encoded, judged = encode_query(adapter, prompt, template, known[item.entity])
                labels[name] = (known[item.entity], judged)
                if encoded.forced_boundary:
                    forced.add(name)
        encoded = replace(encoded, to_text=any(len(judged) > 1 for _, judged in labels.values()))
        planned.append(Conflict(item, encoded, labels, frozenset(forced)))
    return planned


def answer_conflicts(setting: Setting, studied: Sequence[Studied]) -> list[ConflictAnswer]:
    """All ordered pairs of tasks of one entity set, unpatched and with every vector."""
    answers = []
    for prompted in studied:
        rivals = rivals_of(prompted, studied)
        if not rivals:
            continue
        planned = plan_conflicts(setting.adapter, setting.template, prompted, rivals)
        answers += _unpatched(setting, prompted, rivals, planned)
        answers += _system_prompted(setting, prompted, rivals, planned)
        answers += _patched(setting, prompted, rivals, planned)
    return answers


def _unpatched(
    setting: Setting, prompted: Studied, rivals: Sequence[Studied], planned: Sequence[Conflict]
) -> list[ConflictAnswer]:
    answers = plain_answers(setting.adapter, [conflict.encoded for conflict in planned])
    return [
        _answered(setting, prompted.task.name, rival.task.name, conflict, answer)
        for conflict, answer in zip(planned, answers, strict=True)
        for rival in rivals
        if rival.task.name in conflict.labels
    ]


def _system_prompted(
    setting: Setting, prompted: Studied, rivals: Sequence[Studied], planned: Sequence[Conflict]
) -> list[ConflictAnswer]:
    asked = [
        (rival, replace(conflict, encoded=_with_system_prompt(setting, prompted, rival, conflict)))
        for rival in rivals
        for conflict in planned
        if rival.task.name in conflict.labels
    ]
    answers = plain_answers(setting.adapter, [conflict.encoded for _, conflict in asked])
    origin = (SYSTEM_PROMPT, None, None)
    return [
        _answered(setting, prompted.task.name, rival.task.name, conflict, answer, origin)
        for (rival, conflict), answer in zip(asked, answers, strict=True)
    ]


def _with_system_prompt(
    setting: Setting, prompted: Studied, rival: Studied, conflict: Conflict
) -> Encoded:
    adapter, template = setting.adapter, setting.template
    said = template.system_prompt(rival.task.instruction)
    modality = modalities_of(adapter)[-1]
    asked = instructed(prompted.task.instruction, template, conflict.item, modality)
    return replace(adapter.encode((said, *asked)), to_text=conflict.encoded.to_text)


def _patched(
    setting: Setting, prompted: Studied, rivals: Sequence[Studied], planned: Sequence[Conflict]
) -> list[ConflictAnswer]:
    origins = {
        f"{rival.task.name} {name}": (rival.task.name, *parse_vector_name(name))
        for rival in rivals
        for name in rival.vectors
    }
    vectors = {
        f"{rival.task.name} {name}": vector
        for rival in rivals
        for name, vector in rival.vectors.items()
    }
    sites = [Site(name, setting.layer) for name in vectors]
    prompts = [conflict.encoded for conflict in planned]
    passes = patched_answers(setting.adapter, prompts, vectors, sites)
    total, what = len(prompts) * len(sites), f"conflict {setting.model} {prompted.task.name}"
    answers = []
    for batch in track(passes, total, what, size=len):
        for number, site, answer in batch:
            patched, specification, seed = origins[site.name]
            if patched in planned[number].labels:
                origin = (specification, seed, site.layer)
                name = prompted.task.name
                answers.append(_answered(setting, name, patched, planned[number], answer, origin))
    return answers


def _answered(
    setting: Setting,
    prompted: str,
    patched: str,
    conflict: Conflict,
    answer: Answer,
    origin: tuple[str | None, int | None, int | None] = (None, None, None),
) -> ConflictAnswer:
    adapter, encoded = setting.adapter, conflict.encoded
    position = encoded.marks[QUERY.name]
    prompted_label, prompted_ids = conflict.labels[prompted]
    patched_label, patched_ids = conflict.labels[patched]
    longest = max(len(prompted_ids), len(patched_ids))
    ids = answer.token_ids if longest > 1 else answer.token_ids[:1]
    specification, seed, layer = origin
    return ConflictAnswer(
        model=setting.model,
        template=setting.template.name,
        prompted=prompted,
        patched=patched,
        specification=specification,
        query_modality=modalities_of(adapter)[-1],
        seed=seed,
        layer=layer,
        entity=conflict.item.entity,
        prompted_label=prompted_label,
        prompted_label_token_id=prompted_ids[0],
        prompted_label_token_ids=said(adapter, prompted_ids)["token_ids"],
        patched_label=patched_label,
        patched_label_token_id=patched_ids[0],
        patched_label_token_ids=said(adapter, patched_ids)["token_ids"],
        **said(adapter, ids),
        logit_difference=answer.logit_difference,
        position=position,
        neighbourhood=adapter.neighbourhood(encoded.ids, position),
        forced_boundary=not conflict.forced.isdisjoint({prompted, patched}),
    )
