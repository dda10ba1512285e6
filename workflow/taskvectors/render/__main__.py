"""``python -m taskvectors.render``: one table or figure from files on disk."""

from __future__ import annotations

import importlib
import logging
from pathlib import Path

from taskvectors.base.command import command_parser, run_command
from taskvectors.base.progress import start_logging
from taskvectors.render.items import ITEMS, module_of
from taskvectors.render.run import Run

log = logging.getLogger("taskvectors")


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--item", required=True, choices=sorted(ITEMS))
    parser.add_argument("--experiment", required=True)
    parser.add_argument("--template", required=True)
    parser.add_argument("--models", required=True, nargs="+")
    parser.add_argument("--tasks", required=True, nargs="+")
    parser.add_argument("--results", required=True, type=Path, help="results/<experiment>")
    parser.add_argument(
        "--seeing", nargs="*", default=[], help="models whose vision tower is trained here"
    )
    parser.add_argument("--beside", nargs="*", default=[], help="items whose data this one reads")
    parser.add_argument("--resamples", type=int, help="for items with a bootstrap of their own")
    parser.add_argument("--seed", type=int, help="the bootstrap's seed")
    parser.add_argument("--out", required=True, type=Path, help="path without ending")
    parser.add_argument("--log", type=Path)
    parser.add_argument("--templates", nargs="+", default=[], help="all that Table 6 compares")
    parser.add_argument("--language-models", nargs="+", default=[], metavar="VLM=LANGUAGE_MODEL")
    settings = vars(parser.parse_args())
    settings["language_models"] = dict(pair.split("=") for pair in settings["language_models"])
    start_logging(settings.pop("log"))
    run = Run(**settings)
    importlib.import_module(module_of(run.item)).RENDERERS[run.item](run)
    log.info("rendered %s", run.out)


if __name__ == "__main__":
    run_command(main)
