"""``python -m taskvectors.curate.first_tokens``: how a task's labels begin in a model's tokens.

What is judged of an answer is its first token, or few of them. Labels that share it are not told
apart, and one that shows no text is not judged alone; both are counted here, from the tokenizer,
before a model runs.
"""

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.frames import write_frame
from taskvectors.jobs.arguments import add_template, load_template
from taskvectors.models.add.abilities import empty_adapter
from taskvectors.models.judged import first_tokens
from taskvectors.study.datasets import read_items

log = logging.getLogger("taskvectors")


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--model", required=True, type=Path, help="a checkpoint folder")
    parser.add_argument("--name", required=True, help="the model's name")
    add_template(parser)
    parser.add_argument("--task", required=True)
    parser.add_argument("--splits", required=True, type=Path, nargs="+", help="items")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    adapter = empty_adapter(args.model, args.name)
    labels = [item.label for path in args.splits for item in read_items(path)]
    found = first_tokens(adapter, load_template(args, adapter), labels)
    write_frame(args.out, pd.DataFrame([{"task": args.task, **asdict(found)}]))
    log.info(
        "%s: %d of %d labels share what is judged of them with another",
        args.task, found.shared, found.labels,
    )  # fmt: skip
    for caveat in found.caveats():
        log.warning("%s, %s, template %s: %s", args.task, args.name, args.template, caveat)


if __name__ == "__main__":
    run_command(main)
