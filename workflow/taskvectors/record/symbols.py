"""What a module defines and which names each part of it uses, from its syntax tree alone."""

from __future__ import annotations

import ast
import hashlib
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Part:
    """Statements that count together: their digest ("" for none), and the dotted names they use."""

    digest: str
    uses: frozenset[str]


@dataclass(frozen=True)
class Module:
    """A source file, taken apart.

    ``definitions`` are functions, classes and plainly assigned names; a dictionary written out
    with strings for keys has a definition ``NAME[key]`` for each of them, too. ``imports`` maps a
    name to what it stands for. ``effects`` is every other statement, and what is imported with
    the module; ``main`` runs only where the module is the command.
    """

    definitions: dict[str, Part]
    imports: dict[str, str]
    effects: Part
    main: Part


@cache
def parse(name: str, package: bool, text: str) -> Module:
    """Take the module called ``name`` apart; ``package`` says that it is an ``__init__.py``."""
    tree = _WithoutText().visit(ast.parse(text))
    home = name if package else name.rpartition(".")[0]
    imports: dict[str, str] = {}
    loaded = [*_parents(name)]
    groups: dict[str, list[ast.AST]] = {}
    main: list[ast.AST] = []
    effects: list[ast.AST] = []
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            loaded += [target for _, _, target in _imported(node, home)]
            imports |= {bound: meant for bound, meant, _ in _imported(node, home)}
            effects += [node] if "*" in imports else []
            imports.pop("*", None)
        elif names := _defined(node):
            for defined in names:
                groups.setdefault(defined, []).append(node)
            for key, value in _entries(node):
                groups.setdefault(f"{names[0]}[{key}]", []).append(value)
        elif isinstance(node, ast.If) and any(
            base == "__name__" for base, *_ in _chains(node.test)
        ):
            main.append(node)
        else:
            effects.append(node)
    top = name.split(".")[0]
    ours = {*groups, *(bound for bound, meant in imports.items() if meant.split(".")[0] == top)}
    effects += [node for node in tree.body if _decorators(node) & ours]
    scopes = _scopes(symtable.symtable(text, name, "exec"))

    def part(nodes: list[ast.AST], more: Iterable[str] = ()) -> Part:
        uses = (_uses(node, name, home, {*groups, *imports}, scopes) for node in nodes)
        digest = hashlib.sha256("\n".join(map(ast.dump, nodes)).encode()).hexdigest()
        return Part(digest if nodes else "", frozenset(more).union(*uses))

    definitions = {defined: part(nodes) for defined, nodes in groups.items()}
    own = [f"{target}:" for target in loaded if target.split(".")[0] == top]
    return Module(definitions, imports, part(effects, own), part(main))


class _WithoutText(ast.NodeTransformer):
    """Drops docstrings and other bare strings."""

    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        bare = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if bare else node


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:size]) for size in range(1, len(parts))]


def _imported(node: ast.Import | ast.ImportFrom, home: str) -> Iterator[tuple[str, str, str]]:
    """For each name of an import: the name it binds, what that means, and what is imported."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            top = alias.name.split(".")[0]
            yield alias.asname or top, alias.name if alias.asname else top, alias.name
        return
    above = home.split(".")
    above = above[: len(above) + 1 - node.level] if node.level else []
    origin = ".".join([*above, *([node.module] if node.module else [])])
    for alias in node.names:
        meant = origin if alias.name == "*" else f"{origin}.{alias.name}"
        yield alias.asname or alias.name, meant, meant


def _defined(node: ast.AST) -> list[str]:
    """The names that a statement defines; none where it does more than that."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    targets = [one for t in targets for one in (t.elts if isinstance(t, ast.Tuple) else [t])]
    plain = all(isinstance(target, ast.Name) for target in targets)
    return [target.id for target in targets] if plain else []


def _entries(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, ast.Dict):
        for key, entry in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, entry


def _decorators(node: ast.AST) -> set[str]:
    """The names that a definition's decorators begin with; a decorator may note it down."""
    return {base for one in getattr(node, "decorator_list", []) for base, *_ in _chains(one)}


def _chains(node: ast.AST) -> Iterator[tuple[str, ...]]:
    """Every name in a tree with the attributes that are taken of it: ``a.b.c`` as (a, b, c)."""
    base, attributes = node, []
    while isinstance(base, ast.Attribute):
        attributes.append(base.attr)
        base = base.value
    if isinstance(base, ast.Name):
        yield (base.id, *reversed(attributes))
    else:
        for child in ast.iter_child_nodes(base):
            yield from _chains(child)


def _scopes(table: symtable.SymbolTable) -> dict[str, set[str]]:
    """Names from the module's own scope that the bodies of its functions and classes use."""
    found: dict[str, set[str]] = {}
    for child in table.get_children():
        found.setdefault(child.get_name(), set()).update(_from_outside(child))
    return found


def _from_outside(table: symtable.SymbolTable) -> set[str]:
    # A class body looks a name up outside until it has bound it.
    kind = table.get_type()
    names = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if symbol.is_global() or (kind == "class" and symbol.is_referenced())
    }
    return names.union(*(_from_outside(child) for child in table.get_children()))


def _headers(node: ast.AST) -> list[ast.AST]:
    """Decorators, defaults, bases and annotations, which stand outside a definition's scope."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return [*node.decorator_list, node.args, *([node.returns] if node.returns else [])]
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    return [node.annotation] if isinstance(node, ast.AnnAssign) else []


def _uses(
    node: ast.AST, module: str, home: str, bound: set[str], scopes: dict[str, set[str]]
) -> set[str]:
    """The dotted names that a statement uses: of this module's ``bound`` ones, leaving out what
    is local to a function, and what it imports itself."""
    uses, header = set(), set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Import | ast.ImportFrom):
            uses.update(target for _, _, target in _imported(inner, home))
        header.update(base for one in _headers(inner) for base, *_ in _chains(one))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        bound = bound & (scopes[node.name] | header)
    return uses | {".".join([module, *chain]) for chain in _chains(node) if chain[0] in bound}
