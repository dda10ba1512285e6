"""The error that is meant for a person, and the way a command ends with it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something a person can mend: one sentence naming the thing, the place and the remedy."""


def run_command(main: Callable[[], None]) -> None:
    """Run a stage's ``main``; a `UserError` becomes one line on stderr and exit status 1.

    A full disk or a file that may not be written is a person's to mend too, so an
    `OSError` ends in one line as well; every other exception keeps its traceback.
    """
    try:
        main()
    except UserError as error:
        sys.exit(f"error: {error}")
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
