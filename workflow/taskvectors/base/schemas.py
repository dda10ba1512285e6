"""Checking what people write by hand against ``workflow/schemas``, in words they can use."""

import difflib
import json
import re
import sys
from collections.abc import Hashable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from taskvectors.base.errors import UserError
from taskvectors.base.files import read_text
from taskvectors.base.strict_json import encodable

TEXT, MERGED = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"  # of keys in YAML
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"
MOST, MOST_WHOLE = sys.float_info.max, 2**63  # what floats and seeds can be
MOST_QUOTED = 300  # characters of a fault's description, whose value may be a whole file


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Iterator[ValidationError]:
    """``$`` is the end, as JSON Schema has it, and not before a last line break, as Python does."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"{value!r} does not match {pattern!r}")


# Numbers are finite; a whole one is written as such, and of 64 bits.
Strict = extend(
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "number": lambda _, value: _is_number(value) and -MOST <= value <= MOST,
            "integer": lambda _, value: _is_whole(value) and abs(value) < MOST_WHOLE,
        }
    ),
)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@cache
def load_schema(name: str) -> dict[str, Any]:
    """The schema ``workflow/schemas/<name>.schema.yaml``."""
    return yaml.safe_load((SCHEMAS / f"{name}.schema.yaml").read_text(encoding="utf-8"))


def check(value: Any, schema_name: str, place: str) -> None:
    """Raise `UserError` naming ``place``, the key and a remedy where ``value`` is not valid."""
    error = first_fault(value, schema_name)
    if error is not None:
        raise UserError(f"{place}: {_sentence(error, load_schema(schema_name))}")


def first_fault(value: Any, schema_name: str) -> ValidationError | None:
    """What is first found wrong with ``value``, in its keys' order; None where it is valid."""
    validator = Strict(load_schema(schema_name))
    errors = sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    return errors[0] if errors else None


def _sentence(error: ValidationError, schema_of_all: dict[str, Any]) -> str:
    key = ".".join(str(part) for part in error.absolute_path)
    value, schema = error.instance, error.schema
    unwanted = error.validator == "additionalProperties"
    if unwanted and isinstance(value, dict) and isinstance(schema, dict):
        known = sorted(schema.get("properties", {}))
        unknown = next(name for name in value if name not in known)
        near = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}."
        return f"unknown key {f'{key}.{unknown}' if key else unknown!r}; {hint}"
    about = _about(list(error.absolute_path), schema_of_all)
    fault = _shortened(error.message)
    return f"{key or 'the whole'}: {fault}; {about}see workflow/schemas for what is allowed."


def _shortened(text: str) -> str:
    """A text without its middle where it is long."""
    half = MOST_QUOTED // 2
    return text if len(text) <= MOST_QUOTED else f"{text[:half]} ... {text[-half:]}"


def _about(path: list[str | int], schema: dict[str, Any]) -> str:
    """What the schema says of the innermost key on ``path`` that it describes; empty for none."""
    said = ""
    for part in path:
        inner = schema.get("properties", {}).get(part, schema.get("additionalProperties"))
        if not isinstance(inner, dict):
            break
        schema = inner
        if "description" in schema:
            default = f", by default {json.dumps(schema['default'])}" if "default" in schema else ""
            said = f"{part} is described as {schema['description'].strip('.')!r}{default}; "
    return said


class _Keyed(yaml.SafeLoader):
    """YAML in which keys are texts, and no key of a mapping stands twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag not in (TEXT, MERGED):
                self._refuse(key, "is no text; put it in quotes")
            if key.value in seen:
                self._refuse(key, "stands twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, key: yaml.Node, fault: str) -> None:
        said = f"the key {key.value!r} {fault}"
        raise yaml.constructor.ConstructorError(None, None, said, key.start_mark)


def read_yaml(path: Path) -> Any:
    """Read YAML. Raises `UserError` as `read_text`, and where it is not YAML."""
    text = read_text(path, missing="restore it from the repository")
    try:
        return parse_yaml(text)
    except ValueError as error:
        raise UserError(f"{path} is not valid YAML: {error}.") from error


def parse_yaml(text: str) -> Any:
    """The value that YAML writes. Raises ValueError saying in a line why it is none: what is no
    YAML, a key twice, a date or number that is none, half of a character, too deep."""
    try:
        value = yaml.load(text, _Keyed)
        if not encodable(json.dumps(value, ensure_ascii=False, default=str)):
            raise ValueError("half of a character, i.e. a surrogate; write the character itself")
        return value
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(" ".join(str(error).replace('"<unicode string>", ', "").split())) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
