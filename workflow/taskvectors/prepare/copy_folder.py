"""``python -m taskvectors.prepare.copy_folder``: a model of a folder on this machine, at its hash.

The checkpoint is copied, so that what was studied stays as it was whatever happens to the folder.
The copy is kept for all experiments (`taskvectors.prepare.keep`), and the output is links to it.
"""

import logging
import shutil
from pathlib import Path

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256, written_whole
from taskvectors.models.checkpoint import checkpoint_files, folder_revision
from taskvectors.prepare.keep import (
    KEPT,
    Listing,
    is_kept,
    is_whole,
    kept_hash,
    kept_place,
    link,
    read_listing,
    write_listing,
)
from taskvectors.record.provenance import stat_of

log = logging.getLogger("taskvectors")


def copy_folder(folder: Path, revision: str, out: Path, cache: Path = KEPT) -> None:
    """Make ``out`` the checkpoint, and copy what of it is not in ``cache`` yet.

    Raises `UserError` where the folder is no checkpoint, or not the one with that hash.
    """
    source = {"folder": str(folder), "revision": revision}
    kept = kept_place(source, cache)
    if not is_copied(kept, revision):
        # First, so that nothing of another checkpoint is put over what is kept of this one.
        check_revision(folder, folder_revision(folder), revision)
        copy_missing(folder, kept)
        check_revision(folder, kept_hash(kept), revision)
    link(kept, out, source)


def is_copied(kept: Path, revision: str) -> bool:
    """Whether all files of the checkpoint with that hash are kept; the folder is not asked."""
    return is_whole(kept) and kept_hash(kept) == revision


def check_revision(folder: Path, found: str, revision: str) -> None:
    """Raise `UserError` where what was found is not what is pinned."""
    if found != revision:
        raise UserError(
            f"the checkpoint {folder} has the hash {found[:12]}, but "
            f"resources/models.yaml pins {revision[:12]}; bring back the one that was "
            f"pinned, or add this one under "
            f"another name with `python -m taskvectors.models.add {folder} --name NAME`."
        )


def copy_missing(folder: Path, kept: Path) -> None:
    """Copy the files that are not kept as they are in the folder, one after the other."""
    before = read_listing(kept)
    listing: Listing = {}
    for source in checkpoint_files(folder):
        file, known = kept / source.name, before.get(source.name, {})
        if not (is_kept(file, known) and stat_of(source).items() <= known.items()):
            with written_whole(file) as partial:
                shutil.copy2(source, partial)  # with its time, by which it is known again
            known = {"sha256": sha256(file), **stat_of(file)}
        listing[source.name] = known
        write_listing(kept, listing)
    for left in kept.glob(".*.partial"):  # of copies that were killed
        left.unlink()


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--folder", required=True, type=Path)
    parser.add_argument("--revision", required=True, help="64 hexadecimal digits")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    copy_folder(args.folder, args.revision, args.out)
    log.info("%s with the hash %s is whole", args.folder, args.revision)


if __name__ == "__main__":
    run_command(main)
