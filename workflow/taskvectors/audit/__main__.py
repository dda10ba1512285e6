"""``python -m taskvectors.audit``: is a file what it was, where is it from, what differs?"""

import sys

from taskvectors.audit import diff, trace, verify
from taskvectors.base.command import command_parser, run_command

SUBCOMMANDS = {"verify": verify, "trace": trace, "diff": diff}


def main() -> None:
    parser = command_parser(__doc__)
    subparsers = parser.add_subparsers(required=True, metavar="subcommand")
    for name, module in SUBCOMMANDS.items():
        summary = str(module.__doc__).partition(": ")[2]
        subparser = subparsers.add_parser(name, help=summary, description=module.__doc__)
        module.add_arguments(subparser)
        subparser.set_defaults(run=module.main)
    args = parser.parse_args(joined(sys.argv[1:]))
    args.run(args)


def joined(words: list[str]) -> list[str]:
    """The words with a cell in its option's own word, since a cell may begin with a dash."""
    words = list(words)
    if "--cell" in words[:-1]:
        place = words.index("--cell")
        words[place : place + 2] = [f"--cell={words[place + 1]}"]
    return words


if __name__ == "__main__":
    run_command(main)
