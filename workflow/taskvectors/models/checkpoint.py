"""What of a checkpoint is taken, from a hub or a folder: its weights and what describes them.

Weights are safetensors only, and one set of them; no pickle and no code is read.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from safetensors import SafetensorError, safe_open

from taskvectors.base.errors import UserError
from taskvectors.base.files import listing_hash, read_json, sha256

DESCRIBING = ["*.json", "*.model", "*.txt", "*.jinja"]
# As transformers saves them: one file, or shards beside their index.
WEIGHTS = "model*.safetensors"
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
# The same weights again in their authors' own format, which transformers does not load.
LEFT_OUT = "consolidated*.safetensors"
LONGEST_KIND = 100  # characters of an architecture's name
ADAPTERS = ("adapter_config.json", "adapter_model.*")
MERGE = "merge it first (`merge_and_unload` of peft, then `save_pretrained`) and give that folder"


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as the header of its file describes it; ``kind`` as in safetensors, e.g. BF16."""

    kind: str
    shape: tuple[int, ...]


def refuse_quantised(what: str) -> NoReturn:
    """Raise `UserError` for quantised weights."""
    raise UserError(
        f"{what} is quantised, which is not read; give the checkpoint that it was made from "
        "(`dtype: nf4` in resources/models.yaml quantises it when it is loaded)."
    )


def read_config(folder: Path) -> dict[str, Any]:
    """What a checkpoint's config.json says.

    Raises `UserError` where there is none, where it is no object or names other weights than those
    that are looked for, and where the folder is an adapter or has one beside its weights.
    """
    for pattern in ADAPTERS:
        for path in folder.glob(pattern):
            raise UserError(
                f"{folder} has an adapter ({path.name}), which would not be applied; {MERGE}."
            )
    for path in folder.glob("*"):
        if not path.is_file() and any(fnmatch(path.name, one) for one in (*DESCRIBING, WEIGHTS)):
            raise UserError(f"{path} is no file, or a link to none; fetch the whole checkpoint.")
    path = folder / "config.json"
    if not path.is_file():
        raise UserError(
            f"{folder} is no checkpoint folder: it has no config.json; give one that has, or "
            "prepare the model first."
        )
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(f"{path} is no JSON object; restore the checkpoint's own.")
    kind = config.get("model_type")
    if kind is not None and not (isinstance(kind, str) and len(kind) <= LONGEST_KIND):
        raise UserError(f"{path}: model_type is no name; restore the checkpoint's own.")
    if config.get("transformers_weights") is not None:
        raise UserError(
            f"{path}: transformers_weights names {config['transformers_weights']!r} in the place "
            f"of {WHOLE}; take the key out, and give the weights their usual name."
        )
    return config


def weight_files(folder: Path) -> list[Path]:
    """The files of a checkpoint's weights: model.safetensors, or the shards that its index names.

    Raises `UserError` where there are none, where there is more than one set of them, or where the
    index names a file that is missing or lies outside the folder.
    """
    there = {path.name for path in folder.glob("*.safetensors") if path.is_file()}
    index = folder / INDEX
    named = _shards(index) if index.is_file() else {WHOLE} & there
    if not named:
        raise UserError(
            f"{folder} has no weights as {WEIGHTS}; save them so "
            "(`save_pretrained` of transformers does), since no other kind is read."
        )
    if missing := sorted(named - there):
        raise UserError(
            f"{index} names {len(missing)} files that are missing, e.g. {missing[0]}; fetch the "
            "whole checkpoint."
        )
    others = sorted(name for name in there - named if not fnmatch(name, LEFT_OUT))
    if others:
        raise UserError(
            f"{folder} has two sets of weights, {min(named)} and {others[0]}; take away the one "
            "that is not meant."
        )
    return [folder / name for name in sorted(named)]


def _shards(index: Path) -> set[str]:
    """The files that an index names."""
    found = read_json(index)
    named = found.get("weight_map") if isinstance(found, dict) else None
    if not isinstance(named, dict) or not named:
        raise UserError(f"{index} is no index of weights; fetch the whole checkpoint.")
    for name in named.values():
        if not isinstance(name, str) or Path(name).name != name or "\\" in name:
            raise UserError(
                f"{index} names {name!r}, which is no file of its folder; put all shards beside it."
            )
    return set(named.values())


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """The tensors of a checkpoint's weights by name, from the files' headers alone.

    Raises `UserError` as `weight_files`, and where a file is damaged or two have one tensor.
    """
    found: dict[str, StoredTensor] = {}
    for path in weight_files(folder):
        for name, tensor in _header(path):
            if name in found:
                raise UserError(
                    f"{folder}: two files have the tensor {name}, {path.name} and another; fetch "
                    "the whole checkpoint anew."
                )
            found[name] = tensor
    return found


def _header(path: Path) -> Iterable[tuple[str, StoredTensor]]:
    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118
                one = file.get_slice(name)
                yield name, StoredTensor(one.get_dtype(), tuple(one.get_shape()))
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path}: the weights cannot be read ({error}); delete the file and fetch it again."
        ) from error


def checkpoint_files(folder: Path) -> list[Path]:
    """The files of a checkpoint folder that are taken; those of folders inside it are not.

    Raises `UserError` where it is no checkpoint with one set of weights.
    """
    read_config(folder)
    described = [
        path
        for path in folder.glob("*")
        if path.is_file() and any(fnmatch(path.name, pattern) for pattern in DESCRIBING)
    ]
    return sorted([*described, *weight_files(folder)])


def folder_revision(folder: Path) -> str:
    """A checkpoint folder's hash: 64 hexadecimal digits over its files' names and contents.

    A file is read again only where its size or time of change is another.
    """
    hashes = {}
    for path in checkpoint_files(folder):
        stat = path.stat()
        hashes[path.name] = _hash_of(path.resolve(), stat.st_size, stat.st_mtime_ns)
    return listing_hash(hashes)


@cache
def _hash_of(path: Path, size: int, mtime_ns: int) -> str:
    return sha256(path)


def revision_of(folder: Path) -> str:
    """The commit of a prepared model of a hub, the hash of any other."""
    source = folder / "source.json"
    stated = read_json(source).get("revision") if source.is_file() else None
    return stated or folder_revision(folder)
