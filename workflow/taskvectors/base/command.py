"""What every command has: a parser that knows its name, a log, and an end in one sentence."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.progress import start_logging


def command_parser(documentation: str | None) -> argparse.ArgumentParser:
    """A parser whose help begins with the module's documentation and the command's name."""
    spec = sys.modules["__main__"].__spec__
    name = spec.name.removesuffix(".__main__") if spec else Path(sys.argv[0]).name
    return argparse.ArgumentParser(prog=f"python -m {name}", description=documentation)


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; ``--log`` is known to every command, and logging begins here."""
    parser.add_argument("--log", type=Path, help="write progress and messages here, too")
    args = parser.parse_args()
    start_logging(args.log)
    return args


def run_command(main: Callable[[], None]) -> None:
    """Run a command's ``main``; a `UserError` becomes one line on stderr and exit status 1, Ctrl-C
    one and the status that a shell gives it.

    A full disk or a file that may not be written is a person's to mend too, so an
    `OSError` ends in one line as well; every other exception keeps its traceback.
    """
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        print("error: stopped by Ctrl-C; run the same command again.", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever reads our output, `head` for example, has seen enough; Python must not try to
        # write the rest when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.filename is None and error.strerror is None:
            raise
        place = error.filename or "the results folder"
        sys.exit(f"error: {place}: {error.strerror}. Nothing half-written was left behind.")
