"""Files of installed packages, found without importing them."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

from taskvectors.base.errors import UserError


def package_files(package: str) -> tuple[str, Path, list[str]]:
    """Version, root folder and file list of an installed package, without importing it.

    Raises `UserError` naming the package and the command that installs it.
    """
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise UserError(
            f"the package {package} is not installed; "
            "run `make setup` (it installs envs/cpu.txt and envs/data.txt)."
        ) from error
    return found.version, Path(str(found.locate_file(""))), [str(f) for f in found.files or []]
