"""``python -m taskvectors.prepare.fetch``: a model of a hub, at a pinned revision, to a folder.

The folder has links to the files, which are kept for all experiments (`taskvectors.prepare.keep`)
and fetched once. Weights are safetensors only and no code of the hub is fetched or run.
``HF_HUB_OFFLINE`` is respected.
"""

import logging
import shutil
from pathlib import Path

from huggingface_hub import HfApi, RepoFile, hf_hub_download
from huggingface_hub.errors import HTTPError
from huggingface_hub.utils import filter_repo_objects

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.errors import UserError
from taskvectors.base.files import sha256
from taskvectors.models.checkpoint import DESCRIBING, WEIGHTS
from taskvectors.prepare.keep import (
    KEPT,
    Listing,
    is_kept,
    is_whole,
    kept_place,
    link,
    read_listing,
    write_listing,
)
from taskvectors.record.provenance import stat_of

log = logging.getLogger("taskvectors")


def fetch(hub: str, revision: str, out: Path, cache: Path = KEPT) -> None:
    """Make ``out`` the checkpoint, and download what of it is not in ``cache`` yet.

    Raises `UserError` where the hub cannot be had, or sends another file than it lists.
    """
    source = {"hub": hub, "revision": revision}
    kept = kept_place(source, cache)
    if not is_whole(kept):
        try:
            download(hub, revision, kept)
        except (HTTPError, OSError) as error:
            raise UserError(
                f"the weights of {hub} at {revision} cannot be fetched into {kept}; on a machine "
                "with a network run `snakemake --cores 1 fetch_models` with the experiment's "
                "`--config`, and accept the model's terms on the hub where it has any "
                f"({type(error).__name__})."
            ) from error
    link(kept, out, source)


def download(hub: str, revision: str, kept: Path) -> None:
    """Fetch the files that are not there yet, one after the other, and hold each to the listing.

    The listing is that of the hub, asked for once: what was fetched in full is taken without it.
    """
    listing = read_listing(kept) or listed(hub, revision)
    write_listing(kept, listing)
    for name, known in listing.items():
        file = kept / name
        if is_kept(file, known):
            continue
        hf_hub_download(hub, name, revision=revision, local_dir=kept)
        digest = sha256(file)
        if file.stat().st_size != known["size"] or known["sha256"] not in (None, digest):
            file.unlink()
            raise UserError(
                f"{name} of {hub} at {revision} is not what the hub lists and was removed; run "
                "the same command again, which fetches that file alone."
            )
        listing[name] = {"sha256": digest, **stat_of(file)}
        write_listing(kept, listing)
        log.info("%s: fetched", name)
    shutil.rmtree(kept / ".cache", ignore_errors=True)  # the client's notes and broken downloads


def listed(hub: str, revision: str) -> Listing:
    """The files to take: their sizes and, of large ones, SHA-256."""
    tree = HfApi().list_repo_tree(hub, revision=revision, recursive=True)
    files = [one for one in tree if isinstance(one, RepoFile)]
    wanted = [*DESCRIBING, WEIGHTS]
    return {
        file.path: {"size": file.size, "sha256": file.lfs.sha256 if file.lfs else None}
        for file in filter_repo_objects(files, allow_patterns=wanted, key=lambda one: one.path)
    }


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--hub", required=True)
    parser.add_argument("--revision", required=True, help="40 hexadecimal digits")
    parser.add_argument("--out", required=True, type=Path)
    args = parse(parser)
    fetch(args.hub, args.revision, args.out)
    log.info("%s at %s is whole", args.hub, args.revision)


if __name__ == "__main__":
    run_command(main)
