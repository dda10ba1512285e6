"""``python -m taskvectors.describe``: a model writes the descriptions that text prompts show.

For exemplars in the wild (Table 4 of the ICML version), where people's captions are short or there
are none. One line an image, greedily; what says the entity's name or a label of a task that asks
about it, or is too short, too long or no sentence, is left out. All that was written is kept.
"""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_jsonl, write_text
from taskvectors.base.progress import track
from taskvectors.base.schemas import load_schema
from taskvectors.engine.generate import first_line, generate
from taskvectors.jobs.arguments import add_model, load_model
from taskvectors.jobs.instructed import own_or_spaced
from taskvectors.models.base import Adapter
from taskvectors.study.descriptions import leaks
from taskvectors.study.entities import read_entities
from taskvectors.study.manifest import CollectedImage, read_manifest
from taskvectors.study.prompts import ImageInput, Template
from taskvectors.study.rows import entity_set_of
from taskvectors.study.tasks import find_task

log = logging.getLogger("taskvectors")
ASKED = "Describe what the picture shows in two sentences, without saying its name."
TOKENS = 80
Labels = dict[str, dict[str, list[str]]]  # entity set to entity to its labels


def labels_of(tasks: Path, studied: Sequence[str], tables: Iterable[Path]) -> Labels:
    """Every entity's labels of the studied tasks."""
    columns: dict[str, list[str]] = {}
    for name in studied:
        task = find_task(tasks, name)
        columns.setdefault(task.entity_set, []).append(task.label)
    by_set = {entity_set_of(path): path for path in tables}
    return {
        entity_set: {
            entity.name: [entity.labels[column] for column in wanted]
            for entity in read_entities(by_set[entity_set])
        }
        for entity_set, wanted in columns.items()
    }


def sentences(written: str) -> str:
    """The first line of what was written, up to the end of its last whole sentence."""
    line = first_line(written)
    return line[: line.rfind(".") + 1]


def why_not(description: str, name: str, labels: Sequence[str]) -> str:
    """Why a description is left out; empty where it is not."""
    allowed = load_schema("descriptions")["additionalProperties"]["additionalProperties"]
    if not allowed["minLength"] <= len(description) <= allowed["maxLength"]:
        return f"{len(description)} characters"
    told = [word for label in labels for word in leaks(description, name, label)]
    return f"it says {', '.join(dict.fromkeys(told))}" if told else ""


def described(
    adapter: Adapter, template: Template, images: Sequence[CollectedImage], labels: Labels
) -> list[dict[str, Any]]:
    """A line for each image: what was written, what is taken of it, and why nothing is."""
    lines = []
    for image in track(images, len(images), f"describe {adapter.name}"):
        shown = ImageInput(image.path.as_posix())
        prompt = (template.system_prompt(ASKED), *template.query(shown))
        (ids,) = generate(adapter, [adapter.encode(prompt)], TOKENS, one_line=True)
        written = adapter.tokenizer.decode(ids)
        text = sentences(written)
        reason = why_not(text, image.entity, labels[image.entity_set].get(image.entity, []))
        about = {"model": adapter.name, "entity_set": image.entity_set, "entity": image.entity}
        found = {"written": written, "description": text, "left_out": reason}
        lines.append({**about, **found})
    return lines


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    parser.add_argument("--templates", required=True, type=Path, help="resources/templates.yaml")
    parser.add_argument("--tasks", required=True, type=Path)
    parser.add_argument("--studied", required=True, nargs="+", help="names of tasks")
    parser.add_argument("--entities", required=True, type=Path, nargs="+", help="their tables")
    parser.add_argument("--manifests", required=True, type=Path, nargs="+")
    parser.add_argument("--out", required=True, type=Path, help="a folder")
    args = parse(parser)
    labels = labels_of(args.tasks, args.studied, args.entities)
    images = [one for manifest in args.manifests for one in read_manifest(manifest)]
    adapter = load_model(args)
    if adapter.image_text is None:
        raise UserError(
            f"the model {args.name} takes no images and cannot describe any; set `captioner` in "
            "the configuration to one that does."
        )
    wanted = [image for image in images if image.entity_set in labels]
    lines = described(adapter, own_or_spaced(adapter, args.templates), wanted, labels)
    taken: dict[str, dict[str, str]] = {}
    for line in lines:
        if not line["left_out"]:
            own = taken.setdefault(line["entity_set"], {})
            own[line["entity"]] = line["description"]
    for entity_set in labels:
        if entity_set not in taken:
            raise UserError(
                f"of {entity_set} the model {args.name} described no image in a way that can be "
                "shown; set `captioner` in the configuration to a better one."
            )
    write_text(args.out / "descriptions.yaml", yaml.safe_dump(taken, allow_unicode=True))
    write_jsonl(args.out / "written.jsonl", lines)
    log.info("%s: %d of %d images described", args.name, sum(map(len, taken.values())), len(lines))


if __name__ == "__main__":
    run_command(main)
