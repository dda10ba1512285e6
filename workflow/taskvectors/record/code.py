"""A hash of the code that a command runs, so that changed code reruns its rules.

It is over the syntax trees of the command's module and of all that it imports of its own package,
directly or not, at the top of a module or inside a function. Comments, docstrings and formatting
do not count.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def code_hash(command: str, root: Path = ROOT) -> str:
    """Sixteen hexadecimal digits for the code of ``command``, e.g. ``taskvectors.read``.

    Modules are found under ``root`` and read once in a process. Raises ValueError where the
    command is no module.
    """
    lines = [f"{name} {parsed(file)[0]}\n" for name, file in sorted(closure(command, root).items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def closure(command: str, root: Path = ROOT) -> dict[str, Path]:
    """The modules that a command runs, by name: its own, what they import, and their packages."""
    main = f"{command}.__main__"
    waiting = [main if source(root, main) else command]
    if source(root, waiting[0]) is None:
        raise ValueError(f"{command} is no module under {root}")
    found: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        file = source(root, name)
        if file is not None and name not in found:
            found[name] = file
            waiting += [name.rpartition(".")[0], *parsed(file)[1]]
    return found


def source(root: Path, name: str) -> Path | None:
    """The file of a module, or None where ``root`` has no such module."""
    base = root.joinpath(*name.split("."))
    found = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in found if path.is_file()), None)


@cache
def parsed(file: Path) -> tuple[str, list[str]]:
    """The digest of a file's code, and the names that it imports: modules, or what is in them."""
    tree = WithoutText().visit(ast.parse(file.read_text(encoding="utf-8")))
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported += [f"{node.module}.{alias.name}" for alias in node.names] + [str(node.module)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), imported


class WithoutText(ast.NodeTransformer):
    """Drops docstrings and other bare strings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else node
