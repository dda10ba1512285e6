"""``python -m taskvectors.audit``: is a file what it was, where is it from, what differs?"""

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
    args = parser.parse_args()
    args.run(args)


if __name__ == "__main__":
    run_command(main)
