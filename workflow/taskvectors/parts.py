"""Finished parts of a long job, kept beside its outputs: a job that was killed goes on.

A part is a folder with its files and ``part.json``, which holds their hashes. The folder's name
ends in the part's key, a hash of everything that the part depends on, so that a part is kept
exactly as long as it would be made the same again: an added seed makes its own parts only.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json, sha256, write_json

log = logging.getLogger("taskvectors")
SEAL = "part.json"
PACKAGES = ("numpy", "pillow", "tokenizers", "torch", "transformers")
SMALL = 2**20  # bytes: up to here a checkpoint's file is hashed


@dataclass(frozen=True)
class Part:
    """One piece of a job: a name for people, and the key of what it depends on."""

    name: str
    key: str

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.key}"


def key_of(**depends: Any) -> str:
    """Sixteen hexadecimal digits for anything that JSON can hold."""
    text = json.dumps(depends, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def checkpoint_key(folder: Path) -> str:
    """Changes with the files of a checkpoint: small ones count by their bytes, and large ones by
    size and time of change, since hashing all weights would take as long as loading them."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    states = []
    for path in files:
        state = path.stat()
        seen = sha256(path) if state.st_size <= SMALL else state.st_mtime_ns
        states.append([path.relative_to(folder).as_posix(), state.st_size, seen])
    return key_of(files=states)


def surroundings(device: str) -> dict[str, str]:
    """What else numbers depend on: the kind of device, and the packages that compute them."""
    return {"device": device.split(":")[0], **{name: version(name) for name in PACKAGES}}


class Parts:
    """The wanted parts of one job in their folder.

    Opening it removes every part that is not wanted, or is not what its seal says.
    """

    def __init__(self, folder: Path, wanted: Sequence[Part]):
        self.folder, self.wanted = folder, list(wanted)
        if len({part.folder for part in wanted}) != len(self.wanted):
            raise ValueError(f"two parts of {folder} are the same")
        names = {part.folder for part in wanted}
        for path in sorted(path for path in folder.glob("*") if path.is_dir()):
            if path.name not in names:
                shutil.rmtree(path)
            elif not is_whole(path):
                log.warning("%s is not whole: it is made again", path)
                shutil.rmtree(path)
        self.missing = [part for part in self.wanted if not self.path(part).exists()]
        if names:
            kept = len(names) - len(self.missing)
            log.info("parts: %d kept, %d to make", kept, len(self.missing))

    def path(self, part: Part) -> Path:
        """The folder of a part."""
        return self.folder / part.folder

    def files(self, name: str) -> list[Path]:
        """The file ``name`` of every wanted part that has one, in order."""
        paths = [self.path(part) / name for part in self.wanted]
        return [path for path in paths if path.exists()]

    @contextmanager
    def making(self, part: Part) -> Iterator[Path]:
        """Yield a folder to write the part's files into; it becomes the part as a whole."""
        temporary = self.folder / f".{part.folder}.{os.getpid()}.partial"
        temporary.mkdir(parents=True)
        try:
            yield temporary
            hashes = {path.name: sha256(path) for path in sorted(temporary.iterdir())}
            write_json(temporary / SEAL, {"files": hashes})
            temporary.rename(self.path(part))
        except BaseException:
            shutil.rmtree(temporary)
            raise


def is_whole(folder: Path) -> bool:
    """Whether a part has exactly the files that its seal names, with the bytes they had."""
    try:
        hashes = read_json(folder / SEAL)["files"]
        return hashes == {path.name: sha256(path) for path in folder.iterdir() if path.name != SEAL}
    except (FileNotFoundError, UserError, KeyError, TypeError):
        return False
