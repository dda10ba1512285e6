"""Checking what people write by hand against ``workflow/schemas``, in words they can use."""

import difflib
import json
import math
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError
from jsonschema.validators import extend

from taskvectors.base.errors import UserError
from taskvectors.base.strict_json import encodable

# Numbers are finite, and a whole one is written as such.
Strict = extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "number": lambda _, value: _is_number(value) and math.isfinite(value),
            "integer": lambda _, value: _is_number(value) and isinstance(value, int),
        }
    ),
)
TEXT, MERGED = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"  # of keys in YAML
SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    return (
        f"{key or 'the whole'}: {error.message}; {about}see workflow/schemas for what is allowed."
    )


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
    """Read YAML. Raises `UserError` naming the file where it is missing or not YAML."""
    try:
        return parse_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; restore it from the repository.") from error
    except IsADirectoryError as error:
        raise UserError(f"{path} is a folder; put a YAML file in its place.") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not in UTF-8 ({error.reason}); save it in UTF-8.") from error
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
