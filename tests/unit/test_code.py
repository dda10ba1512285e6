"""A command's code hash: it changes with what the command reaches, and with nothing else."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taskvectors.record.code import ROOT, code_hash, reached
from taskvectors.render import items

# A small shop. Every body that can be changed holds a number of its own, and only there.
SHOP = {
    "__init__.py": "",
    "prices.py": """
        BASE = 101
        UNUSED = 102
        _A, _B = 103, 104

        def tax(price):
            return price * 105

        def price(count=BASE):
            return tax(count) + _A

        def free():
            return 106
        """,
    "tools/__init__.py": "from shop.tools.wrap import wrapped as wrapping\n",
    "tools/wrap.py": """
        from functools import wraps

        def wrapped(function):
            @wraps(function)
            def inner():
                return function(), 107
            return inner

        def log(text):
            return 108
        """,
    "tools/registry.py": """
        KNOWN = {}

        def register(function):
            KNOWN[function.__name__] = 109
            return function
        """,
    "goods.py": """
        from . import prices as p
        from .tools import registry
        from .tools.registry import register

        class Thing:
            size = 110

            def price(self):
                return p.price() + 111

        class Box(Thing):
            def price(self):
                return 112

        @register
        def found_by_name():
            return 113

        registry.KNOWN["late"] = 114
        """,
    "buy.py": """
        import shop.prices
        from shop.tools import wrapping
        from shop.tools.wrap import log

        @wrapping
        def pay():
            return shop.prices.price()

        def note():
            log = 115
            return log

        def main():
            return pay(), note()

        if __name__ == "__main__":
            main()
        """,
    "sell.py": """
        from shop.goods import Box
        from shop.buy import note

        RENDER = {"one": lambda: one(), "two": lambda: two()}

        def one():
            return 116

        def two():
            return 117

        def main():
            from shop.prices import free
            from shop.late import late
            return Box(), note(), [log for log in [118]]

        if __name__ == "__main__":
            main()
        """,
    "late.py": """
        SEEN = {}
        SEEN["first"] = 120

        def late():
            return 121
        """,
    "give.py": """
        import shop.tools.wrap as tools

        def main():
            return vars(tools), 119

        if __name__ == "__main__":
            main()
        """,
}
# By command, the numbers that it reaches. A class counts with its base; a module that is passed
# about as a whole; what an import does, and so what a decorator notes down, for all who import.
GOODS = {109, 110, 111, 112, 113, 114}
REACHED = {
    "shop.buy": {101, 103, 104, 105, 107, 115},
    "shop.sell": GOODS | {101, 103, 104, 105, 106, 107, 115, 118, 120, 121},
    "shop.give": {107, 108, 119},
}
NUMBERS = range(101, 122)


def write(folder: Path, package: dict[str, str]) -> Path:
    """Write a package under ``folder`` and return that folder, which no hash has seen yet."""
    for name, text in package.items():
        path = folder / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(re.sub(r"^        ", "", text, flags=re.MULTILINE))
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> dict[str, str]:
    root = write(tmp_path_factory.mktemp("plain"), SHOP)
    return {command: code_hash(command, root=root) for command in REACHED}


@pytest.mark.parametrize("number", NUMBERS)
def test_a_changed_body_changes_the_hashes_of_the_commands_that_reach_it(tmp_path, plain, number):
    changed = {name: text.replace(str(number), "999") for name, text in SHOP.items()}
    assert changed != SHOP
    root = write(tmp_path, changed)
    stale = {command for command in REACHED if code_hash(command, root=root) != plain[command]}
    assert stale == {command for command, numbers in REACHED.items() if number in numbers}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("prices.py", "def tax(price):", 'def tax(price):\n            """What is due."""'),
        ("prices.py", "BASE = 101", "# per piece\n        BASE = (\n            101\n        )"),
        ("goods.py", "class Thing:", 'class Thing:\n            """Anything."""\n'),
        ("goods.py", "size = 110", 'size = 110\n            "In metres."'),
        ("buy.py", "import shop.prices", '"""Buys."""\n        import shop.prices'),
        (
            "sell.py",
            "from shop.goods import Box",
            "import random\n        from shop.goods import Box",
        ),
    ],
    ids=["docstring", "formatting", "class docstring", "bare string", "module", "unused import"],
)
def test_what_is_no_code_changes_nothing(tmp_path, plain, name, old, new):
    assert old in SHOP[name]
    root = write(tmp_path, {**SHOP, name: SHOP[name].replace(old, new)})
    assert {command: code_hash(command, root=root) for command in REACHED} == plain


@pytest.mark.parametrize(
    ("name", "old", "new", "stale"),
    [
        ("buy.py", "@wrapping", "", {"shop.buy", "shop.sell"}),
        ("tools/__init__.py", "wrapped as", "log as", {"shop.buy", "shop.sell"}),
        ("goods.py", "class Box(Thing)", "class Box", {"shop.sell"}),
        ("prices.py", "count=BASE", "count=_B", {"shop.buy", "shop.sell"}),
        ("tools/wrap.py", "from functools import wraps", "from shop.prices import free as wraps",
         set(REACHED)),
        ("tools/__init__.py", "from shop", "print()\nfrom shop", set(REACHED)),
        ("prices.py", "BASE = 101", "BASE = 101\n        BASE += 1", {"shop.buy", "shop.sell"}),
        ("give.py", "import shop", "import shop.late\n        import shop", {"shop.give"}),
    ],
    ids=["decorator", "re-export", "base", "default", "outside", "package's effect", "effect",
         "imported effect"],
)  # fmt: skip
def test_what_a_name_means_counts(tmp_path, plain, name, old, new, stale):
    assert old in SHOP[name]
    root = write(tmp_path, {**SHOP, name: SHOP[name].replace(old, new)})
    assert {one for one in REACHED if code_hash(one, root=root) != plain[one]} == stale


def test_what_is_looked_up_at_run_time_is_named_and_the_rest_can_be_left_out(tmp_path):
    def lines(folder: str, old: str, **options) -> str:
        changed = {name: text.replace(old, "999") for name, text in SHOP.items()}
        return code_hash("shop.sell", root=write(tmp_path / folder, changed), **options)

    one = {"uses": ["shop.sell.RENDER[one]"]}
    assert lines("a", "-", **one) != lines("b", "116", **one)
    assert lines("a", "-", **one) == lines("c", "117", **one)
    apart = {"apart": ["shop.goods"]}
    assert lines("a", "-", **apart) == lines("d", "112", **apart)
    assert lines("a", "-", **apart) != lines("e", "106", **apart)
    with pytest.raises(ValueError, match=r"shop\.rent is no module"):
        code_hash("shop.rent", root=tmp_path / "a")


@st.composite
def call_graphs(draw):
    """Functions spread over modules: for each, its module and the later ones that it calls."""
    size = draw(st.integers(2, 9))
    homes = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    calls = [
        sorted(draw(st.sets(st.integers(one + 1, size - 1)))) if one < size - 1 else []
        for one in range(size)
    ]
    return homes, calls, draw(st.integers(0, size - 1)), draw(st.sampled_from(["name", "module"]))


def graph_package(homes: list[int], calls: list[list[int]], changed: int | None, way: str):
    """The package of a call graph; function 0 is called by the command."""
    texts = dict.fromkeys(range(3), "")
    for one, home in enumerate(homes):
        body = "".join(
            f" + f{other}()" if homes[other] == home or way == "name" else
            f" + m{homes[other]}.f{other}()"
            for other in calls[one]
        )  # fmt: skip
        texts[home] += f"def f{one}(f=1):\n    return {one if one != changed else -1}{body}\n"
    for home in texts:
        others = [one for one, place in enumerate(homes) if place != home]
        modules = sorted({homes[one] for one in others})
        named = "".join(f"from shop.m{homes[one]} import f{one}\n" for one in others)
        whole = "".join(f"from shop import m{module}\n" for module in modules)
        texts[home] = (named if way == "name" else whole) + texts[home]
    texts["go"] = f'from shop.m{homes[0]} import f0\nif __name__ == "__main__":\n    f0()\n'
    return {"__init__.py": "", "go.py": texts.pop("go")} | {
        f"m{home}.py": text for home, text in texts.items()
    }


@settings(max_examples=60, deadline=None)
@given(graph=call_graphs())
def test_a_hash_follows_any_graph_of_calls(tmp_path_factory, graph):
    homes, calls, changed, way = graph
    hashes = [
        code_hash("shop.go", root=write(tmp_path_factory.mktemp("graph"), package))
        for package in (
            graph_package(homes, calls, None, way),
            graph_package(homes, calls, changed, way),
        )
    ]
    called, waiting = set(), [0]
    while waiting:
        one = waiting.pop()
        called.add(one)
        waiting += set(calls[one]) - called
    assert (hashes[0] != hashes[1]) == (changed in called)


# -- the package itself --------------------------------------------------------------------

COMMANDS = ("collect", "curate", "read", "average", "write", "choose", "score", "render.decode")


def used(command: str) -> set[str]:
    return {line.split()[0] for line in reached(f"taskvectors.{command}")}


def users(name: str) -> set[str]:
    return {command for command in COMMANDS if f"taskvectors.{name}" in used(command)}


def test_the_packages_commands_use_what_they_use():
    assert users("average.subset_vectors") == {"average"}
    assert users("average.parse_vector_name") == {"write"}
    assert users("engine.patching.patched_answers") == {"write"}
    assert users("curate.datasets.exemplar_sets") == {"curate"}
    assert users("metrics.mark") == {"choose", "score"}
    assert users("models.fuyu.FuyuAdapter") == {"read", "write"}
    assert users("render.samples.figure_8_data") == set()
    assert users("files.written_whole") == set(COMMANDS)


def test_a_renderer_counts_for_its_own_items_only():
    def renders(name: str) -> set[str]:
        return {
            item
            for item in items.ITEMS
            if f"taskvectors.render.{name}"
            in {
                line.split()[0]
                for line in reached("taskvectors.render", uses=[items.renderer_of(item)])
            }
        }

    assert renders("samples.figure_8_data") == {"figure_8"}
    assert renders("evolution.draw_figure_4") == {"figure_4", "figure_4_all"}
    assert renders("__main__.main") == set(items.ITEMS)
    figures = {item for item in items.ITEMS if item.startswith("figure")}
    assert renders("style.apply_style") == figures


def test_nothing_is_looked_up_in_ways_that_the_hash_does_not_know():
    """`taskvectors.render` imports by a name made at run time; its rules name what it takes."""
    known = {"render/__main__.py": "import_module"}
    ways = r"import_module|__import__|__init_subclass__|__set_name__|globals\(|exec\(|eval\("
    found = {
        path.relative_to(ROOT / "taskvectors").as_posix(): ways_used
        for path in (ROOT / "taskvectors").rglob("*.py")
        if (ways_used := "".join(sorted(set(re.findall(ways, path.read_text())))))
    }
    assert {name: way for name, way in found.items() if way != "eval("} == known


def test_a_comment_in_the_package_changes_no_hash(tmp_path):
    shutil.copytree(ROOT / "taskvectors", tmp_path / "taskvectors")
    for path in (tmp_path / "taskvectors").rglob("*.py"):
        path.write_text(f"{path.read_text().replace('    return ', '    return  ')}\n# The end.\n")
    for command in COMMANDS:
        name = f"taskvectors.{command}"
        assert code_hash(name, root=tmp_path) == code_hash(name)
