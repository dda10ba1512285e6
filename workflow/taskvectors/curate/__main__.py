"""``python -m taskvectors.curate``: the datasets of one task."""

import logging
import random
from dataclasses import asdict
from pathlib import Path

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_jsonl
from taskvectors.curate.draws import exemplar_sets, split_entities
from taskvectors.study.datasets import SPLITS, Item
from taskvectors.study.descriptions import read_descriptions
from taskvectors.study.entities import Entity, read_entities
from taskvectors.study.manifest import read_csv, read_manifest
from taskvectors.study.tasks import Task, find_task

log = logging.getLogger("taskvectors")


def curate(
    task: Task,
    entities: list[Entity],
    images: dict[str, str],
    sizes: dict[str, int],
    seed: int,
    missing: dict[str, str],
    texts: dict[str, str] | None = None,
) -> tuple[list[Item], list[dict[str, str]]]:
    """The task's items, and one decision per entity: kept in a split, or left out and why.

    ``images`` maps an entity's name to its image's path, ``missing`` to the reason that it has
    none, where that is known. ``texts`` are as in `said_in_text`; who is not said is left out.
    Raises `UserError` for a label column that the entity table lacks, an image of no entity, or
    too few entities.
    """
    by_name = {entity.name: entity for entity in entities}
    for name, image in images.items():
        if name not in by_name:
            raise UserError(
                f"the image {image} is of {name!r}, which the entity table "
                f"{task.entity_set}.csv does not have; collect again."
            )
    if entities and task.label not in entities[0].labels:
        raise UserError(
            f"the entity table {task.entity_set}.csv has no label column {task.label!r}, "
            f"which the task {task.name} needs; it has {', '.join(entities[0].labels)}."
        )
    said = said_in_text(entities, texts)
    names = [one.name for one in entities if one.name in images and one.name in said]
    rng = random.Random(f"{seed}/{task.entity_set}")
    splits = split_entities(names, sizes["validation"], sizes["test"], rng)
    items = [
        Item(
            *(task.name, split, name, images[name], by_name[name].labels[task.label]),
            text=said[name],
        )
        for split in SPLITS
        for name in splits[split]
    ]
    decided = {name: f"left out: no image: {reason}" for name, reason in missing.items()}
    decided |= {name: "left out: no description" for name in images if name not in said}
    decided |= dict.fromkeys(names, "left out: not drawn")
    decided |= {item.entity: f"kept: {item.split}" for item in items}
    decisions = [
        {"entity": entity.name, "decision": decided.get(entity.name, "left out: no image")}
        for entity in entities
    ]
    return items, decisions


def said_in_text(entities: list[Entity], texts: dict[str, str] | None) -> dict[str, str]:
    """Entities to what stands in text prompts in place of their names, where it is not empty.

    ``texts`` are descriptions from elsewhere, None where names are asked. Where there are any, or
    the table has its own, only entities with one are said, so that names and descriptions are
    never mixed.
    """
    own = {entity.name: entity.text for entity in entities if entity.text}
    if texts is None and not own:
        return {entity.name: "" for entity in entities}
    return {**own, **(texts or {})}


def read_reasons(missing: Path, entity_set: str) -> dict[str, str]:
    """Why entities have no image; only Wikipedia's manifest has that table beside it."""
    rows = read_csv(missing, "entity_set", "entity", "reason") if missing.is_file() else []
    return {row["entity"]: row["reason"] for row in rows if row["entity_set"] == entity_set}


def read_dropped(path: Path, entity_set: str) -> list[dict[str, str]]:
    """Decisions about entities that were considered and never entered the entity table."""
    return [
        {"entity": row["entity"], "decision": f"dropped: {row['label']}: {row['reason']}"}
        for row in read_csv(path, "entity_set", "entity", "label", "reason")
        if row["entity_set"] == entity_set
    ]


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--tasks", required=True, type=Path, help="resources/tasks.yaml")
    parser.add_argument("--task", required=True)
    parser.add_argument("--entities", required=True, type=Path)
    parser.add_argument("--dropped", required=True, type=Path, help="entities left out before")
    parser.add_argument("--manifest", required=True, type=Path)
    parser.add_argument("--validation", required=True, type=int)
    parser.add_argument("--test", required=True, type=int)
    parser.add_argument("--split-seed", required=True, type=int)
    parser.add_argument("--seeds", required=True, type=int, nargs="+")
    parser.add_argument("--exemplars", required=True, type=int)
    parser.add_argument("--descriptions", type=Path, help="what is asked in place of names")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    task = find_task(args.tasks, args.task)
    described = read_descriptions(args.descriptions) if args.descriptions else None
    images = read_manifest(args.manifest, task.entity_set)
    items, decisions = curate(
        task,
        read_entities(args.entities),
        {image.entity: image.path.as_posix() for image in images},
        {"validation": args.validation, "test": args.test},
        args.split_seed,
        read_reasons(args.manifest.with_name("missing.csv"), task.entity_set),
        None if described is None else described.get(task.entity_set, {}),
    )
    decisions += read_dropped(args.dropped, task.entity_set)
    sets = exemplar_sets(task.name, items, args.seeds, args.exemplars)
    for split in SPLITS:
        rows = [item.as_row() for item in items if item.split == split]
        write_jsonl(args.out / f"{split}.jsonl", rows)
    write_jsonl(args.out / "exemplars.jsonl", [asdict(drawn) for drawn in sets])
    write_jsonl(args.out / "decisions.jsonl", decisions)
    log.info("%s: %d items, %d exemplar sets", task.name, len(items), len(sets))


if __name__ == "__main__":
    run_command(main)
