"""A command's code hash: it changes with the code that the command imports, and with no other."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from taskvectors.record.code import ROOT, closure, code_hash

# A small shop. Each number stands in one module.
SHOP = {
    "__init__.py": "OPEN = 101",
    "prices.py": 'BASE = 102\n\ndef price(count=BASE):\n    """Due."""\n    return count * 103\n',
    "tools/__init__.py": "from shop.tools.wrap import wrapped",
    "tools/wrap.py": "wrapped = 104",
    "tools/spare.py": "spare = 105",
    "goods.py": "from shop import prices\n\nclass Box:\n    size = 106\n",
    "late.py": "late = 107",
    "sell/__init__.py": "SOLD = 108",
    "sell/__main__.py": "from shop.goods import Box\n\nif __name__ == '__main__':\n    109\n",
    "buy.py": "import json\nimport shop.tools\n\ndef main():\n    from shop.late import late\n",
}
REACHED = {
    "shop.sell": {101, 102, 103, 106, 108, 109},
    "shop.buy": {101, 104, 107},
    "shop.prices": {101, 102, 103},
}


def hashes(folder: Path, package: dict[str, str]) -> dict[str, str]:
    """Write a package into a folder of its own, which no hash has seen, and hash its commands."""
    for name, text in package.items():
        path = folder / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return {command: code_hash(command, root=folder) for command in REACHED}


@pytest.mark.parametrize("number", range(101, 110))
def test_a_changed_module_changes_the_hashes_of_the_commands_that_import_it(tmp_path, number):
    plain = hashes(tmp_path / "plain", SHOP)
    changed = {name: text.replace(str(number), "999") for name, text in SHOP.items()}
    assert changed != SHOP
    others = hashes(tmp_path / "changed", changed)
    stale = {command for command in REACHED if others[command] != plain[command]}
    assert stale == {command for command, numbers in REACHED.items() if number in numbers}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("prices.py", "Due.", "What is due, in other words."),
        ("prices.py", '"""Due."""\n    ', ""),
        ("prices.py", "BASE = 102", "# per piece\nBASE = (\n    102\n)"),
        ("goods.py", "size = 106", 'size = 106\n    "In metres."'),
        ("buy.py", "import json", '"""Buys."""\nimport json'),
    ],
    ids=["docstring", "no docstring", "formatting", "bare string", "module's docstring"],
)
def test_what_is_no_code_changes_nothing(tmp_path, name, old, new):
    assert old in SHOP[name]
    other = {**SHOP, name: SHOP[name].replace(old, new)}
    assert hashes(tmp_path / "other", other) == hashes(tmp_path / "plain", SHOP)


def test_what_is_no_module_is_refused(tmp_path):
    hashes(tmp_path, SHOP)
    with pytest.raises(ValueError, match=r"shop\.rent is no module"):
        code_hash("shop.rent", root=tmp_path)


def rooms(command: str) -> set[str]:
    return {name.split(".")[1] for name in closure(f"taskvectors.{command}") if "." in name}


def test_the_packages_commands_import_what_they_use():
    assert {"read", "engine", "models", "study", "base"} <= rooms("read")
    assert "taskvectors.models.fuyu" in closure("taskvectors.write")
    assert "taskvectors.base.figures" in closure("taskvectors.render.tsne")
    assert not {"engine", "models", "score"} & rooms("average")
    for renderer in ("tables", "samples", "tsne", "grids"):
        assert not {"engine", "models", "jobs"} & rooms(f"render.{renderer}")


def test_nothing_is_imported_in_ways_that_the_hash_does_not_know():
    known = {"render/__main__.py"}  # it imports renderers, whose rules hash them themselves
    known |= {"__init__.py"}  # it gives the API, which no rule runs, by its names
    ways = r"import_module|__import__|^ *from \.|exec\("
    found = {
        path.relative_to(ROOT / "taskvectors").as_posix()
        for path in (ROOT / "taskvectors").rglob("*.py")
        if re.search(ways, path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert found <= known


def test_another_wording_of_the_package_changes_no_hash(tmp_path):
    shutil.copytree(ROOT / "taskvectors", tmp_path / "taskvectors")
    for path in (tmp_path / "taskvectors").rglob("*.py"):
        path.write_text(f"{path.read_text().replace('    return ', '    return  ')}\n# The end.\n")
    for command in ("collect", "read", "write", "render.tables", "audit.crate"):
        name = f"taskvectors.{command}"
        assert code_hash(name, root=tmp_path) == code_hash(name)
