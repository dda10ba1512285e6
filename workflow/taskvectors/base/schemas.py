"""Checking what people write by hand against ``workflow/schemas``, in words they can use."""

import difflib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError

from taskvectors.base.errors import UserError

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


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
    validator = Draft202012Validator(load_schema(schema_name))
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


def read_yaml(path: Path) -> Any:
    """Read YAML. Raises `UserError` naming the file where it is missing or not YAML."""
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"{path} is missing; restore it from the repository.") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
