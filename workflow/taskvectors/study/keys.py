"""The configuration's keys as their schema describes them.

``python -m taskvectors.study.keys --out config.yaml`` writes config.yaml: the defaults, each below
its description.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from taskvectors.base.command import command_parser, parse, run_command
from taskvectors.base.files import write_text
from taskvectors.base.schemas import load_schema

WIDTH = 100


@dataclass(frozen=True)
class Key:
    """A key of the configuration. ``name`` is dotted, e.g. ``images.evaluation``; a group, whose
    keys follow it, has no default of its own. ``hidden`` ones stand in no config.yaml."""

    name: str
    description: str
    schema: dict[str, Any]
    hidden: bool

    @property
    def group(self) -> bool:
        return "properties" in self.schema

    @property
    def default(self) -> Any:
        """Raises KeyError where the schema has none."""
        return self.schema["default"]

    @property
    def depth(self) -> int:
        return self.name.count(".")


def keys() -> list[Key]:
    """Every key of the configuration, a group before its own, in the schema's order. Raises
    KeyError where one has no description."""
    return list(_below(load_schema("config"), ""))


def _below(schema: dict[str, Any], prefix: str) -> Iterator[Key]:
    for name, inner in schema["properties"].items():
        key = Key(prefix + name, inner["description"], inner, inner.get("hidden", False))
        yield key
        if key.group:
            yield from _below(inner, f"{key.name}.")


def config_text() -> str:
    """The text of config.yaml."""
    blocks = [_comment(load_schema("config")["description"].splitlines(), "")]
    for key in keys():
        if not key.hidden:
            indent = "  " * key.depth
            lines = textwrap.wrap(key.description, WIDTH - 2 - len(indent), break_on_hyphens=False)
            block = _comment(lines, indent) + textwrap.indent(_value(key), indent)
            blocks.append(block if key.depth else f"\n{block}")
    return "".join(blocks)


def _comment(lines: list[str], indent: str) -> str:
    return "".join(f"{indent}# {line}".rstrip() + "\n" for line in lines)


def _value(key: Key) -> str:
    name = key.name.rpartition(".")[2]
    if key.group:
        return f"{name}:\n"
    flow = None if isinstance(key.default, dict | list) else False  # the innermost ones in a line
    return yaml.safe_dump(
        {name: key.default}, default_flow_style=flow, sort_keys=False, width=WIDTH
    )


def main() -> None:
    parser = command_parser(__doc__)
    parser.add_argument("--out", required=True, type=Path)
    write_text(parse(parser).out, config_text())


if __name__ == "__main__":
    run_command(main)
