"""``python -m taskvectors.qualitative``: what accuracies on the tasks do not show.

The model is loaded once for three files: ``conflict.parquet``, where the prompt asks one task
and the patch another; ``descriptions.parquet``, where dense descriptions are the queries; and
``answers.jsonl``, several tokens of a few answers.
"""

import logging
from pathlib import Path

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json, write_jsonl
from taskvectors.jobs.arguments import add_model, add_template, load_model, load_template
from taskvectors.qualitative.conflict import answer_conflicts
from taskvectors.qualitative.descriptions import (
    DescribedTask,
    answer_descriptions,
    describe,
)
from taskvectors.qualitative.studied import Setting, Studied, read_studied
from taskvectors.qualitative.written import write_answers
from taskvectors.record.loaded import report_answers
from taskvectors.study.conflicts import write_conflicts
from taskvectors.study.descriptions import read_descriptions
from taskvectors.study.entities import read_entities
from taskvectors.study.manifest import read_manifest
from taskvectors.study.predictions import write_predictions
from taskvectors.study.rows import entity_set_of
from taskvectors.study.tasks import find_task

log = logging.getLogger("taskvectors")


def describe_all(
    studied: list[Studied], entities: list[Path], manifests: list[Path], descriptions: Path
) -> list[DescribedTask]:
    """Every task with its descriptions; a task of an undescribed entity set has none."""
    found = read_descriptions(descriptions)
    tables = {entity_set_of(path): path for path in entities}
    shown = [image for path in manifests for image in read_manifest(path)]
    described = []
    for one in studied:
        name = one.task.entity_set
        table = read_entities(tables[name])
        images = {one.entity: one.path.as_posix() for one in shown if one.entity_set == name}
        described.append(describe(one, found.get(name, {}), table, images))
    return described


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--tasks", required=True, type=Path, help="resources/tasks.yaml")
    parser.add_argument("--studied", required=True, nargs="+", help="names of tasks")
    parser.add_argument("--specifications", required=True, nargs="+")
    parser.add_argument("--items", required=True, type=Path, nargs="+", help="a task each")
    parser.add_argument("--exemplar-sets", required=True, type=Path, nargs="+", help="likewise")
    parser.add_argument("--vectors", required=True, type=Path, nargs="+", help="likewise")
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the chosen layer")
    parser.add_argument("--entities", required=True, type=Path, nargs="+", help="entity tables")
    parser.add_argument("--manifests", required=True, type=Path, nargs="+")
    parser.add_argument("--descriptions", required=True, type=Path)
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    parser.add_argument("--exemplars", required=True, type=int)
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = load_model(args)
    template = load_template(args, adapter)
    layer = read_json(args.layer)["layer"]
    setting = Setting(adapter, args.name, template, layer, tuple(args.seeds))
    paths = zip(args.studied, args.items, args.exemplar_sets, args.vectors, strict=True)
    studied = [read_studied(adapter, find_task(args.tasks, task), *files) for task, *files in paths]
    described = describe_all(studied, args.entities, args.manifests, args.descriptions)
    icl = [name for name in args.specifications if name != "instruction"]
    conflicts = answer_conflicts(setting, studied)
    write_conflicts(args.out / "conflict.parquet", conflicts)
    descriptions = answer_descriptions(setting, described, icl, args.exemplars)
    write_predictions(args.out / "descriptions.parquet", descriptions)
    forced = [one.forced_boundary for one in conflicts]
    report_answers(forced + [one.forced_boundary for one in descriptions])
    answers = write_answers(setting, studied, described, args.exemplars)
    write_jsonl(args.out / "answers.jsonl", answers)
    log.info(
        "%s: %d answers under conflict, %d to descriptions, %d written out",
        args.name, len(conflicts), len(descriptions), len(answers),
    )  # fmt: skip


if __name__ == "__main__":
    run_command(main)
