"""A small JSON Schema checker with the real API's error texts."""

from __future__ import annotations

import re
from typing import Any

Json = Any
Schema = dict[str, Any]

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def complaints(schema: Schema, value: Json, where: str = "$") -> list[str]:
    """The violations of `schema` by `value`; empty if it is valid. `where` is the JSON path."""
    type_error = _type_complaint(schema, value)
    if type_error:
        return [f"{where}: {type_error}"]
    violations = [f"{where}: {text}" for text in _value_complaints(schema, value)]
    if isinstance(value, dict):
        violations += _object_complaints(schema, value, where)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            violations += complaints(schema["items"], item, f"{where}[{index}]")
    return violations


def _type_complaint(schema: Schema, value: Json) -> str | None:
    expected = schema.get("type")
    if expected is None:
        return None
    names = expected if isinstance(expected, list) else [expected]
    if any(_is(name, value) for name in names):
        return None
    return f"got {_name(value)}, want {' or '.join(names)}"


def _is(name: str, value: Json) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _name(value: Json) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = ("object", "array", "string", "null", "number")
    return next(name for name in names if isinstance(value, _TYPES[name]))


def _value_complaints(schema: Schema, value: Json) -> list[str]:
    violations = []
    if "enum" in schema and value not in schema["enum"]:
        violations.append(
            "value must be one of " + ", ".join(f"'{value}'" for value in schema["enum"])
        )
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            violations.append(f"minLength: got {len(value)}, want {schema['minLength']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            violations.append(f"'{value}' does not match pattern '{schema['pattern']}'")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            violations.append(f"minimum: got {value}, want {schema['minimum']}")
        if value > schema.get("maximum", value):
            violations.append(f"maximum: got {value}, want {schema['maximum']}")
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        violations.append(f"maxItems: got {len(value)}, want {schema['maxItems']}")
    if isinstance(value, dict):
        if len(value) < schema.get("minProperties", 0):
            violations.append(f"minProperties: got {len(value)}, want {schema['minProperties']}")
        if len(value) > schema.get("maxProperties", len(value)):
            violations.append(f"maxProperties: got {len(value)}, want {schema['maxProperties']}")
    return violations


def _object_complaints(schema: Schema, value: dict[str, Json], where: str) -> list[str]:
    violations = []
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        violations.append(f"{where}: missing {_listed(missing, 'property', 'properties')}")
    properties = schema.get("properties", {})
    extra = schema.get("additionalProperties", True)
    unknown = [name for name in value if name not in properties]
    if extra is False and unknown:
        quoted = ", ".join(f"'{name}'" for name in unknown)
        violations.append(f"{where}: additional properties {quoted} not allowed")
    for name, item in value.items():
        if name in properties:
            violations += complaints(properties[name], item, f"{where}.{name}")
        elif isinstance(extra, dict):
            violations += complaints(extra, item, f"{where}.{name}")
    return violations


def _listed(names: list[str], singular: str, plural: str) -> str:
    return f"{singular if len(names) == 1 else plural} " + ", ".join(f"'{name}'" for name in names)
