"""Tensors on disk: safetensors files, written whole by the library."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from taskvectors.base.errors import UserError
from taskvectors.base.files import written_whole


def unwritten(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor to be filled: what is not written stays not finite, and `check_finite` finds it."""
    return torch.full(shape, torch.nan, dtype=dtype)


def check_finite(tensors: dict[str, Tensor], what: str, remedy: str) -> None:
    """Raise `UserError` naming the first tensor and row (of its first axis) that is not finite."""
    for name, tensor in tensors.items():
        wrong = ~torch.isfinite(tensor)
        if wrong.any():
            row = int(wrong.reshape(len(wrong), -1).any(dim=1).nonzero()[0])
            raise UserError(f"{what} {name}, row {row}, is not finite; {remedy}.")


def write_tensors(
    path: Path, tensors: dict[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write a safetensors file, with metadata if there is any, whole or not at all.

    Raises `UserError` where it cannot be written.
    """
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        with written_whole(path) as temporary:
            save_file(contiguous, temporary, metadata)
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{path} cannot be written ({error}); make room, or name another place. Nothing "
            "half-written was left behind."
        ) from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file by name.

    Raises `UserError` naming the file where it is missing or truncated.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def read_metadata(path: Path) -> dict[str, str]:
    """The metadata of a safetensors file; empty where it has none. Raises as `read_tensors`."""
    with _opened(path) as file:
        return dict(file.metadata() or {})


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; run the stage that makes it.") from error
    except (SafetensorError, OSError, UnicodeEncodeError) as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}); delete it and run again."
        ) from error
