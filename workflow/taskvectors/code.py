"""A hash of the code that a command uses, so that a changed function reruns its rules.

It is taken from the syntax trees of the command's module and of every module of this package
that it imports, directly or not; comments, docstrings and formatting do not count.
"""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def code_hash(module: str) -> str:
    """Sixteen hexadecimal digits for ``module`` (e.g. ``taskvectors.read``) and its imports."""
    seen: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in seen or path is None:
            continue
        seen[name], imported = _digest(path)
        waiting += imported
    lines = "".join(f"{name} {digest}\n" for name, digest in sorted(seen.items()))
    return hashlib.sha256(lines.encode()).hexdigest()[:16]


def _source(module: str) -> Path | None:
    base = ROOT / Path(*module.split("."))
    found = [base.with_suffix(".py"), base / "__main__.py", base / "__init__.py"]
    return next((path for path in found if path.is_file()), None)


@cache
def _digest(path: Path) -> tuple[str, tuple[str, ...]]:
    """A module's hash and the modules of this package that it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            imported += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        _drop_docstring(node)
    digest = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
    return digest, tuple(name for name in imported if name.startswith("taskvectors."))


def _drop_docstring(node: ast.AST) -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
