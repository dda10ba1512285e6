"""Values that a schema of ``workflow/schemas`` does not allow, for every key of a good document.

Told from the schema's own words (type, enum, minimum, ...) and not by the validator that is tried.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from typing import Any

from taskvectors.base.schemas import load_schema

TYPES = {"null": type(None), "boolean": bool, "integer": int, "number": (int, float),
         "string": str, "array": list, "object": dict}  # fmt: skip
SAMPLES: dict[str, Any] = {
    "null": None,
    "true": True,
    "a whole number": 7,
    "a negative number": -1,
    "a fraction": 0.5,
    "a whole float": 7.0,
    "a huge number": 10**400,
    "no number": float("nan"),
    "infinity": float("-inf"),
    "a text of nothing": "",
    "a text of zeros": "\0",
    "a long text": "x" * 2_000,
    "a path out": "../../etc/passwd",
    "a line": "two\nlines",
    "a list of nothing": [],
    "a list": [{"a": [None]}],
    "an object of nothing": {},
    "an object": {"": 1},
    "a day": datetime.date(2020, 2, 29),
    "bytes": b"\xff",
    "a set": {"a"},
}  # what YAML can write


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) or kind == "boolean":
        return isinstance(value, bool) and kind == "boolean"
    if isinstance(value, int | float) and not abs(value) < 2**63:  # NaN, too
        return False
    return isinstance(value, TYPES[kind])


def _wrong(schema: dict[str, Any], value: Any, good: Any) -> bool:
    """Whether a schema says in its own words that it does not allow a value, or, where it names no
    type, that is of another type than a good one."""
    if "enum" in schema or "const" in schema:
        allowed = schema.get("enum", [schema.get("const")])
        return not any(type(one) is type(value) and one == value for one in allowed)
    if "anyOf" in schema and "type" not in schema:
        return False
    own = [kind for kind in TYPES if _is(good, kind)]
    kinds = schema.get("type", own)
    if not any(_is(value, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return True
    if isinstance(value, int | float):
        low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
        return (
            (low is not None and value < low)
            or (above is not None and value <= above)
            or value > schema.get("maximum", value)
        )
    least = {str: "minLength", list: "minItems", dict: "minProperties"}[type(value)]
    return len(value) < schema.get(least, 0)


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    return schema


def _places(
    schema: dict[str, Any], good: Any, path: tuple[Any, ...], whole: dict[str, Any]
) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every place of a good document that the schema describes: the first of a list, and of an
    object with any keys."""
    schema = _resolved(schema, whole)
    yield path, schema
    if isinstance(good, dict):
        for key, inner in schema.get("properties", {}).items():
            if key in good:
                yield from _places(inner, good[key], (*path, key), whole)
        rest = schema.get("additionalProperties")
        if isinstance(rest, dict) and good:
            key = next(iter(good))
            yield from _places(rest, good[key], (*path, key), whole)
    if isinstance(good, list) and good and "items" in schema:
        yield from _places(schema["items"], good[0], (*path, 0), whole)


def put(good: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy of a document with another value at one place."""
    if not path:
        return value
    changed = copy.deepcopy(good)
    at = changed
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return changed


def wrong_documents(name: str, good: Any) -> Iterator[tuple[str, Any]]:
    """Documents with one thing wrong, each with what that is: a value that its place does not
    allow, a key too many or too few."""
    whole = load_schema(name)
    for path, schema in _places(whole, good, (), whole):
        place = ".".join(map(str, path)) or "the whole"
        here = good
        for key in path:
            here = here[key]
        for kind, value in SAMPLES.items():
            if _wrong(schema, value, here):
                yield f"{place} is {kind}", put(good, path, value)
        if isinstance(here, str) and schema.get("pattern", "").endswith("$"):
            yield f"{place} ends in a line break", put(good, path, f"{here}\n")
        if isinstance(here, dict) and "propertyNames" in schema:
            renamed = {f"{key}\n": value for key, value in here.items()}
            yield f"{place} has keys that end in a line break", put(good, path, renamed)
        if isinstance(here, dict) and schema.get("additionalProperties") is False:
            yield f"{place} has another key", put(good, path, {**here, "ghost": 1})
        for key in schema.get("required", []) if isinstance(here, dict) else []:
            rest = {name: value for name, value in here.items() if name != key}
            yield f"{place} has no {key}", put(good, path, rest)
        if isinstance(here, list) and schema.get("uniqueItems") and here:
            yield f"{place} has one thing twice", put(good, path, [here[0], *here])
