"""``python -m taskvectors.prepare.fetch``: a model of a hub, at a pinned revision, to a folder.

Weights are safetensors only and no code of the hub is fetched or run. ``HF_HUB_OFFLINE``
is respected.
"""

import logging
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import write_json
from taskvectors.models.checkpoint import DESCRIBING, WEIGHTS

log = logging.getLogger("taskvectors")


def fetch(hub: str, revision: str, out: Path) -> None:
    """Download the checkpoint into ``out``. Raises `UserError` where the hub cannot be had."""
    try:
        snapshot_download(
            hub, revision=revision, local_dir=out, allow_patterns=[*DESCRIBING, WEIGHTS]
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, HfHubHTTPError, OSError) as error:
        raise UserError(
            f"the weights of {hub} at {revision} cannot be fetched into {out}; on a machine "
            "with a network run `snakemake --cores 1 fetch_models` with the experiment's "
            "`--config`, and accept the model's terms on the hub where it has any "
            f"({type(error).__name__})."
        ) from error
    write_json(out / "source.json", {"hub": hub, "revision": revision})


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--revision", required=True, help="40 hexadecimal digits")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    fetch(args.hub, args.revision, args.out)
    log.info("fetched %s at %s", args.hub, args.revision)


if __name__ == "__main__":
    run_command(main)
