"""``python -m taskvectors.prepare.copy_folder``: a model of a folder on this machine, at its hash.

The checkpoint is copied, so that what was studied stays as it was whatever happens to the folder.
"""

import logging
import shutil
from pathlib import Path

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import folder_written_whole, write_json
from taskvectors.models.checkpoint import checkpoint_files, folder_revision

log = logging.getLogger("taskvectors")


def copy_folder(folder: Path, revision: str, out: Path) -> None:
    """Copy the checkpoint to ``out``, with ``source.json``.

    Raises `UserError` where the folder is no checkpoint, or not the one with that hash.
    """
    with folder_written_whole(out) as copied:
        for path in checkpoint_files(folder):
            shutil.copyfile(path, copied / path.name)
        found = folder_revision(copied)
        if found != revision:
            raise UserError(
                f"the checkpoint {folder} has the hash {found[:12]}, but "
                f"resources/models.yaml pins {revision[:12]}; bring back the one that was "
                f"pinned, or add this one under "
                f"another name with `python -m taskvectors.models.add {folder} --name NAME`."
            )
        write_json(copied / "source.json", {"folder": str(folder), "revision": revision})


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--revision", required=True, help="64 hexadecimal digits")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    copy_folder(args.folder, args.revision, args.out)
    log.info("copied %s with the hash %s", args.folder, args.revision)


if __name__ == "__main__":
    run_command(main)
