"""What of a checkpoint is taken, from a hub or a folder: its weights and what describes them.

Weights are safetensors only; no pickle and no code is read.
"""

from fnmatch import fnmatch
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.files import listing_hash, read_json, sha256

DESCRIBING = ["*.json", "*.model", "*.txt", "*.jinja"]
WEIGHTS = "*.safetensors"


def checkpoint_files(folder: Path) -> list[Path]:
    """The files of a checkpoint folder that are taken; those of folders inside it are not.

    Raises `UserError` where it is no checkpoint with its weights.
    """
    wanted = [*DESCRIBING, WEIGHTS]
    files = [
        path
        for path in sorted(folder.glob("*"))
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in wanted)
    ]
    if folder / "config.json" not in files:
        raise UserError(
            f"{folder} is no checkpoint folder: it has no config.json; give one that has."
        )
    if not any(fnmatch(path.name, WEIGHTS) for path in files):
        raise UserError(
            f"{folder} has no weights as {WEIGHTS}; save them so "
            "(`save_pretrained` of transformers does), since no other kind is read."
        )
    return files


def folder_revision(folder: Path) -> str:
    """A checkpoint folder's hash: 64 hexadecimal digits over its files' names and contents."""
    return listing_hash({path.name: sha256(path) for path in checkpoint_files(folder)})


def revision_of(folder: Path) -> str | None:
    """The commit or hash of a prepared model; None of one that was made in the experiment."""
    source = folder / "source.json"
    return read_json(source).get("revision") if source.is_file() else None
