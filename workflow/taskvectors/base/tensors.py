"""Activations on disk: safetensors files that are filled as the forward passes come."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole

TYPE_NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}


class ActivationWriter:
    """Named tensors of known shapes, written row by row in any order; memory stays flat."""

    def __init__(self, path: Path, shapes: dict[str, tuple[int, ...]], dtype: torch.dtype):
        self.shapes, self.dtype, self.path = shapes, dtype, path
        header: dict[str, dict] = {}
        offset = 0
        for name, shape in shapes.items():
            size = math.prod(shape) * dtype.itemsize
            spot = {"dtype": TYPE_NAMES[dtype], "shape": list(shape)}
            header[name] = {**spot, "data_offsets": [offset, offset + size]}
            offset += size
        encoded = json.dumps(header).encode()
        encoded += b" " * (-len(encoded) % 8)
        self.data_start = 8 + len(encoded)
        self.starts = {name: self.data_start + header[name]["data_offsets"][0] for name in shapes}
        self.missing = {(name, row) for name, shape in shapes.items() for row in range(shape[0])}
        self.handle = path.open("wb")
        self.handle.write(len(encoded).to_bytes(8, "little") + encoded)
        self.handle.truncate(self.data_start + offset)

    def put(self, name: str, row: int, value: Tensor) -> None:
        """Write row ``row`` of tensor ``name``. Raises `UserError` where it is not finite."""
        self.put_rows(name, row, value.unsqueeze(0))

    def put_rows(self, name: str, first: int, values: Tensor) -> None:
        """Write consecutive rows of tensor ``name``, from row ``first`` on, as `put` does one."""
        if not torch.isfinite(values).all():
            row = first + int((~torch.isfinite(values)).flatten(1).any(dim=1).nonzero()[0])
            raise UserError(
                f"the activation {name}, row {row}, is not finite; "
                "choose float32 or bfloat16 for this model."
            )
        if tuple(values.shape[1:]) != self.shapes[name][1:]:
            raise ValueError(
                f"{name}: a row has shape {self.shapes[name][1:]}, not {tuple(values.shape[1:])}"
            )
        size = math.prod(values.shape[1:]) * self.dtype.itemsize
        self.handle.seek(self.starts[name] + first * size)
        data = values.to(self.dtype).contiguous().view(torch.uint8)
        self.handle.write(data.numpy().tobytes())
        self.missing -= {(name, first + number) for number in range(len(values))}

    def copy(self, path: Path) -> None:
        """Write every tensor of another file of activations, one at a time."""
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118
                self.put_rows(name, 0, file.get_tensor(name))


@contextmanager
def writing_activations(
    path: Path, shapes: dict[str, tuple[int, ...]], dtype: torch.dtype
) -> Iterator[ActivationWriter]:
    """Open a safetensors file for writing row by row; it appears only once every row is there."""
    with written_whole(path) as temporary:
        writer = ActivationWriter(temporary, shapes, dtype)
        try:
            yield writer
        finally:
            writer.handle.close()
        if writer.missing:
            name, row = min(writer.missing)
            raise RuntimeError(
                f"{len(writer.missing)} rows were never written, e.g. {name} row {row}"
            )


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write a safetensors file whole or not at all. Raises `UserError` where it cannot be."""
    try:
        with written_whole(path) as temporary:
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary)
    except SafetensorError as error:
        raise UserError(
            f"{path} cannot be written ({error}); make room, or name another place. Nothing "
            "half-written was left behind."
        ) from error


def read_tensors(path: Path, wanted: str = "") -> dict[str, Tensor]:
    """The tensors of a safetensors file whose names begin with ``wanted``.

    Raises `UserError` naming the file where it is missing or truncated.
    """
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys() if name.startswith(wanted)}  # noqa: SIM118
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the stage that makes it.") from error
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}); delete it and run again."
        ) from error
