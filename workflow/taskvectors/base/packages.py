"""Files of installed packages, found without importing them."""

from importlib import metadata
from pathlib import Path

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_json

NPM = Path("envs/npm/node_modules")  # packages of npm begin with @


def package_file(package: str, name: str) -> tuple[str, Path, str]:
    """An installed package's version, and the file of that name: its path, and its place in the
    package. Raises `UserError` where there is none."""
    version, root, files = package_files(package)
    found = [file for file in files if Path(file).name == name]
    if not found:
        raise UserError(f"the package {package} {version} has no {name}; reinstall it.")
    return version, root / found[0], found[0]


def package_files(package: str) -> tuple[str, Path, list[str]]:
    """Version, root folder and file list of an installed package, without importing it.

    Raises `UserError` naming the package and the command that installs it.
    """
    if package.startswith("@"):
        return _npm_files(package)
    try:
        found = metadata.distribution(package)
    except metadata.PackageNotFoundError as error:
        raise UserError(
            f"the package {package} is not installed; "
            "run `make setup` (it installs envs/cpu.txt and envs/data.txt)."
        ) from error
    return found.version, Path(str(found.locate_file(""))), [str(f) for f in found.files or []]


def _npm_files(package: str) -> tuple[str, Path, list[str]]:
    root = NPM / package
    if not (root / "package.json").is_file():
        raise UserError(
            f"the package {package} is not installed; run `make train-data` (it takes what "
            "envs/npm names from npm, and only training the open vision tower needs it)."
        )
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    return read_json(root / "package.json")["version"], root, sorted(files)
