"""A small JSON Schema checker whose complaints read as the real API's do."""

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
    """Every way in which `value` is not what `schema` says; empty means it is."""
    wrong = _type_complaint(schema, value)
    if wrong:
        return [f"{where}: {wrong}"]
    found = [f"{where}: {text}" for text in _value_complaints(schema, value)]
    if isinstance(value, dict):
        found += _object_complaints(schema, value, where)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += complaints(schema["items"], item, f"{where}[{index}]")
    return found


def _type_complaint(schema: Schema, value: Json) -> str | None:
    wanted = schema.get("type")
    if wanted is None:
        return None
    names = wanted if isinstance(wanted, list) else [wanted]
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
    found = []
    if "enum" in schema and value not in schema["enum"]:
        found.append("value must be one of " + ", ".join(f"'{value}'" for value in schema["enum"]))
    if isinstance(value, str):
        if len(value) < schema.get("minLength", 0):
            found.append(f"minLength: got {len(value)}, want {schema['minLength']}")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"'{value}' does not match pattern '{schema['pattern']}'")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value < schema.get("minimum", value):
            found.append(f"minimum: got {value}, want {schema['minimum']}")
        if value > schema.get("maximum", value):
            found.append(f"maximum: got {value}, want {schema['maximum']}")
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        found.append(f"maxItems: got {len(value)}, want {schema['maxItems']}")
    if isinstance(value, dict):
        if len(value) < schema.get("minProperties", 0):
            found.append(f"minProperties: got {len(value)}, want {schema['minProperties']}")
        if len(value) > schema.get("maxProperties", len(value)):
            found.append(f"maxProperties: got {len(value)}, want {schema['maxProperties']}")
    return found


def _object_complaints(schema: Schema, value: dict[str, Json], where: str) -> list[str]:
    found = []
    missing = [name for name in schema.get("required", ()) if name not in value]
    if missing:
        found.append(f"{where}: missing {_listed(missing, 'property', 'properties')}")
    known = schema.get("properties", {})
    extra = schema.get("additionalProperties", True)
    unknown = [name for name in value if name not in known]
    if extra is False and unknown:
        quoted = ", ".join(f"'{name}'" for name in unknown)
        found.append(f"{where}: additional properties {quoted} not allowed")
    for name, item in value.items():
        if name in known:
            found += complaints(known[name], item, f"{where}.{name}")
        elif isinstance(extra, dict):
            found += complaints(extra, item, f"{where}.{name}")
    return found


def _listed(names: list[str], one: str, many: str) -> str:
    return f"{one if len(names) == 1 else many} " + ", ".join(f"'{name}'" for name in names)
