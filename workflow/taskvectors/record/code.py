"""A hash of the code that a command uses, so that a changed function reruns its rules.

From a command's module-level code every name that is used is followed through this package:
functions, classes, constants, imported names, ``module.attribute``. The hash is over the syntax
trees of what was reached, so comments, docstrings and formatting do not count. Where it cannot
tell, it takes more: a class counts as a whole; a module that is passed about, all of it; and what
a module does as it is imported counts for all who import it. A module that is imported by a name
made at run time cannot be seen; whoever calls `code_hash` names what is used of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path

from taskvectors.record.symbols import Module, parse

ROOT = Path(__file__).resolve().parents[2]


def code_hash(
    command: str, uses: Iterable[str] = (), apart: Collection[str] = (), root: Path = ROOT
) -> str:
    """Sixteen hexadecimal digits for the code of ``command``, e.g. ``taskvectors.read``.

    ``uses`` are dotted names of what it looks up at run time; ``apart`` are modules that do not
    count. Modules are found under ``root`` and read once in a process. Raises ValueError where
    the command is no module.
    """
    lines = "".join(f"{line}\n" for line in sorted(reached(command, uses, apart, root)))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def reached(
    command: str, uses: Iterable[str] = (), apart: Collection[str] = (), root: Path = ROOT
) -> set[str]:
    """What `code_hash` hashes: a line for each part of the package, and each name from outside,
    that the command uses. Arguments are the same."""
    package = f"{command}.__main__"
    entry = package if source(root, package) else command
    module = load(root, entry)
    if module is None:
        raise ValueError(f"{command} is no module under {root}")
    lines = {f"{entry} {module.main.digest}"}
    waiting = [f"{entry}:", *module.main.uses, *uses]
    seen = set(waiting)
    while waiting:
        line, names = follow(root, waiting.pop(), apart)
        lines |= {line} - {""}
        waiting += names - seen
        seen |= names
    return lines


def follow(root: Path, name: str, apart: Collection[str]) -> tuple[str, set[str]]:
    """The line that stands for a dotted name ("" for none), and the names to follow from there.

    ``module:`` is what the module does as it is imported.
    """
    home, attributes = split(root, name.removesuffix(":"))
    module = load(root, home)
    if module is None:
        return name, set()
    if home in apart:
        return "", set()
    if name.endswith(":"):
        digest = module.effects.digest
        return digest and f"{home} {digest}", set(module.effects.uses)
    first, *rest = attributes or ("",)
    part, imported = module.definitions.get(first), module.imports.get(first)
    if part is None and imported is None:
        # The module itself, or a name that it does not simply bind: all of it, for who knows what.
        return "", {
            f"{home}:",
            *(f"{home}.{own}" for own in (*module.definitions, *module.imports)),
        }
    onward = {f"{home}:"}
    if imported is not None:
        onward.add(".".join([imported, *rest]))
    return (f"{home}.{first} {part.digest}", onward | part.uses) if part else ("", onward)


@cache
def split(root: Path, name: str) -> tuple[str, tuple[str, ...]]:
    """A dotted name as the module that it is in (the longest there is), and what follows."""
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        home = ".".join(parts[:size])
        if source(root, home):
            return home, tuple(parts[size:])
    return parts[0], tuple(parts[1:])


def source(root: Path, name: str) -> Path | None:
    """The file of a module, or None where ``root`` has no such module."""
    base = root.joinpath(*name.split("."))
    found = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in found if path.is_file()), None)


@cache
def load(root: Path, name: str) -> Module | None:
    """A module under ``root``, parsed, or None where there is no such module."""
    path = source(root, name)
    if path is None:
        return None
    return parse(name, path.name == "__init__.py", path.read_text(encoding="utf-8"))
