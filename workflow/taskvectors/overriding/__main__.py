"""``python -m taskvectors.overriding``: answers to prompts that a vector contradicts.

Each prompt of resources/qualitative/conflicts.yaml is answered as it is, after the instruction that
is against it (the system prompt), and with that instruction's vector patched into the delimiter, at
the layer that validation chose and throughout the answer.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import read_json, write_jsonl
from taskvectors.base.progress import track
from taskvectors.engine.generate import first_line, generate
from taskvectors.jobs.arguments import add_model, add_template, load_model, load_template
from taskvectors.jobs.instructed import read_instruction
from taskvectors.models.base import Adapter
from taskvectors.study.overriding import METHODS, PATCH, SYSTEM_PROMPT, Override, read_overrides
from taskvectors.study.prompts import Prompt, Template, Text

log = logging.getLogger("taskvectors")
TOKENS = 16


def prompt_of(template: Template, override: Override, method: str) -> Prompt:
    """The prompt in the template, where it is asked for with the instruction in front."""
    query = template.query(Text(override.prompt))
    if method != SYSTEM_PROMPT:
        return query
    return (template.system_prompt(override.instruction), *query)


def answer_overrides(
    adapter: Adapter, template: Template, overrides: Sequence[Override], layer: int
) -> Iterator[list[dict[str, Any]]]:
    """The answers to the prompts against one instruction at a time, by every method; each with all
    that is known of its prompt."""
    for text, group in groupby(overrides, lambda one: one.instruction):
        asked = list(group)
        vector = read_instruction(adapter, text)[0, layer]
        lines = []
        for method in METHODS:
            prompts = [adapter.encode(prompt_of(template, one, method)) for one in asked]
            held, after = (vector, layer) if method == PATCH else (None, None)
            written = generate(adapter, prompts, TOKENS, held, after, one_line=True)
            for one, ids in zip(asked, written, strict=True):
                whole_text = adapter.tokenizer.decode(ids)
                found = {"written": whole_text, "answer": first_line(whole_text)}
                lines.append({**asdict(one), "method": method, **found})
        yield lines


def main() -> None:
    parser = command_parser(__doc__)
    add_model(parser)
    add_template(parser)
    parser.add_argument("--conflicts", required=True, type=Path)
    parser.add_argument("--layer", required=True, type=Path, help="JSON with the chosen layer")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    overrides = read_overrides(args.conflicts)
    adapter = load_model(args)
    template = load_template(args, adapter)
    layer = read_json(args.layer)["layer"]
    groups = answer_overrides(adapter, template, overrides, layer)
    total = len(overrides) * len(METHODS)
    about = {"model": args.name, "template": template.name, "layer": layer}
    lines = [
        {**about, **line}
        for group in track(groups, total, f"override {args.name}", size=len)
        for line in group
    ]
    write_jsonl(args.out, lines)
    log.info("%s: %d answers", args.name, len(lines))


if __name__ == "__main__":
    run_command(main)
