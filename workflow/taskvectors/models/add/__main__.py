"""``python -m taskvectors.models.add``: add a model to resources/models.yaml, pinned.

A model is a hub's id (Qwen/Qwen3-VL-4B-Instruct) or a checkpoint folder on this machine. Printed
are what the workflow can do with it, its entry, and the commands that follow. Its weights are not
fetched. Run it in the repository's root.
"""

import argparse
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import HfApi

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import is_folder
from taskvectors.models.add.abilities import (
    Boundaries,
    beginnings,
    boundaries,
    empty_adapter,
    takes_several_images,
)
from taskvectors.models.add.described import Checkpoint, of_folder, of_hub
from taskvectors.models.add.entry import append, as_yaml, check_new, entry_of, name_of
from taskvectors.models.base import Adapter
from taskvectors.models.chat import prompt_notes
from taskvectors.models.registry import unheld
from taskvectors.study.config import ModelSource
from taskvectors.study.first_tokens import FirstTokens

RESOURCES = Path("resources")
MODELS = RESOURCES / "models.yaml"


def describe(model: str, into: Path) -> Checkpoint:
    """What is said of a hub id or folder; a hub's files but the weights are fetched ``into``."""
    if is_folder(model):
        return of_folder(Path(model))
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model, re.ASCII):
        raise UserError(f"{model[:200]!r} is neither a folder nor a hub id (owner/name); give one.")
    return of_hub(HfApi(), model, into)


def about(checkpoint: Checkpoint, adapter: Adapter, source: ModelSource) -> list[str]:
    """The checkpoint, its architecture and what a job asks for, a line each."""
    model_type = adapter.model.config.model_type
    other = " and ".join(unheld(adapter.model.config))
    held = "held by the contract tests"
    if other:
        held = f"{other} held by no test: it is checked when it is loaded (docs/models.md)"
    stored = ", ".join(sorted(checkpoint.tensors))
    seeing = "several in a prompt" if source.image_icl else "one in a prompt"
    gpu = f", a GPU with more than {source.weight_megabytes / 1000:.1f} GB" if source.gpus else ""
    gated = ", gated: its terms have to be accepted" if checkpoint.gated else ""
    return [
        f"{source.hub or source.folder} at {str(source.revision)[:12]}",
        f"licence: {checkpoint.licence}{gated}",
        f"architecture: {model_type} ({type(adapter).__name__}), {held}",
        f"size: {source.parameters} billion parameters stored as {stored}; "
        f"{len(adapter.layers)} layers of width {adapter.width}",
        f"images: {seeing if source.vision_model else 'none, a language model'}",
        f"a job asks for: {source.job_megabytes / 1000:.1f} GB of memory{gpu}, "
        f"{source.job_minutes} minutes",
    ]


def about_template(one: Boundaries) -> str:
    """How the tokenizer takes a template, in a line."""
    if one.missing is not None:
        return f"template {one.template}: {one.missing}"
    if not one.merged:
        return f"template {one.template}: every delimiter is a token"
    needed = "needs a made boundary" if one.made else "cannot be used"
    return (
        f"template {one.template}: {needed}, since the tokenizer merges a delimiter with its "
        f"neighbour in {one.merged} of {one.exemplars} exemplars"
    )


def about_labels(template: str, tasks: dict[str, FirstTokens]) -> list[str]:
    """How the labels of all tasks begin in a template, a line, and one for each caveat."""
    shared = ", ".join(f"{task} {one.shared} of {one.labels}" for task, one in tasks.items())
    return [
        f"template {template}: labels that share what is judged of them with another: {shared}",
        *(f"  {task}: {caveat}" for task, one in tasks.items() for caveat in one.caveats()),
    ]


def commands(name: str, seeing: bool) -> Sequence[str]:
    """What to run next: fetch it, then study it, or, a language model, ask it."""
    fetch = f"snakemake --cores 1 results/today/prepare/{name} --config experiment=today"
    study = (
        f"snakemake --cores 8 --config experiment=today 'models=[{name}]' 'language_models={{}}' "
        "'wikipedia={contact: \"Name <mail>\"}'"
    )
    ask = (
        f"python -m taskvectors.demo --model {name} --template spaced --prompts prompts.jsonl "
        "--out answers"
    )
    return fetch, study if seeing else ask


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("model", help="a hub id (owner/name), or a checkpoint folder")
    parser.add_argument("--name", help="what to call it here; from the id or folder if not given")
    parser.add_argument(
        "--image-icl",
        action=argparse.BooleanOptionalAction,
        help="whether it was trained on several images in a prompt, where that is not known here",
    )
    parser.add_argument("--dry-run", action="store_true", help="change nothing, only print")
    args = parse(parser)
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = describe(args.model, Path(folder))
        name = args.name or name_of(checkpoint.source)
        check_new(MODELS, name, checkpoint.source)
        adapter = empty_adapter(checkpoint.folder, args.model)
        icl = takes_several_images(adapter.model.config.model_type, adapter, args.image_icl)
        entry = entry_of(checkpoint, adapter, icl)
        lines = about(checkpoint, adapter, ModelSource(name=name, **entry)) + prompt_notes(adapter)
        lines += map(about_template, boundaries(adapter, RESOURCES))
        for template, tasks in beginnings(adapter, RESOURCES).items():
            lines += about_labels(template, tasks)
    print(*lines, "", as_yaml(name, entry), sep="\n")
    if args.dry_run:
        return
    append(MODELS, name, entry)
    print(f"added to {MODELS}; now run", *commands(name, "vision_model" in entry), sep="\n\n")


if __name__ == "__main__":
    run_command(main)
