"""JSON documents as dataclasses: what is written of them, and what is believed of one that is read.

A path stands in a document as `names` encodes it.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
import typing

from . import names

MAX_FILES = 100_000  # files in one manifest; entries of any list
MAX_TEXT = 400  # characters of what is told about a document

Json = typing.Any  # a decoded JSON value
# A path as `names` has it in memory; in a document it stands encoded.
Name = typing.Annotated[str, names.encode]


class ContractError(ValueError):
    """A document from the other side is not what the contract says.

    The text is short and plain ASCII, whatever of the document stands in it.
    """

    def __init__(self, text: str) -> None:
        super().__init__(ascii(text[:MAX_TEXT])[1:-1])


def plain(value: Json, hint: typing.Any = None) -> Json:
    """`value` as JSON has it."""
    if dataclasses.is_dataclass(value):
        kinds = _fields(typing.cast(type, type(value)))
        return {name: plain(getattr(value, name), kind) for name, (kind, _) in kinds.items()}
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        keys, values = typing.get_args(hint) or (None, None)
        return {plain(k, keys): plain(v, values) for k, v in value.items()}
    return names.encode(value) if hint is Name else value


def build(kind: typing.Any, value: Json, where: str) -> Json:
    """`value` as an instance of the annotation `kind`."""
    origin = typing.get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return _build_optional(kind, value, where)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(typing.cast(type, kind), value, where)
    if origin is tuple:
        if not isinstance(value, list) or len(value) > MAX_FILES:
            raise ContractError(f"{where}: not a list of at most {MAX_FILES}")
        item = typing.get_args(kind)[0]
        return tuple(build(item, one, f"{where}[{i}]") for i, one in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            raise ContractError(f"{where}: not an object")
        keys, values = typing.get_args(kind)
        return {build(keys, k, where): build(values, v, f"{where}.{k}") for k, v in value.items()}
    if kind is Name:
        return names.decode(_build_scalar(str, value, where))
    return _build_scalar(kind, value, where)


def _build_optional(kind: typing.Any, value: Json, where: str) -> Json:
    (inner,) = (arg for arg in typing.get_args(kind) if arg is not type(None))
    return None if value is None else build(inner, value, where)


def _build_dataclass(kind: type, value: Json, where: str) -> Json:
    if not isinstance(value, dict):
        raise ContractError(f"{where}: not an object")
    found = {}
    for name, (hint, needed) in _fields(kind).items():
        if name in value:
            found[name] = build(hint, value[name], f"{where}.{name}")
        elif needed:
            raise ContractError(f"{where}: no field {name!r}")
    return kind(**found)


@functools.cache
def _fields(kind: type) -> dict[str, tuple[typing.Any, bool]]:
    """Name to type, and whether it must be there; a manifest asks a hundred thousand times."""
    hints, none = typing.get_type_hints(kind, include_extras=True), dataclasses.MISSING
    return {
        one.name: (hints[one.name], one.default is none and one.default_factory is none)
        for one in dataclasses.fields(kind)
    }


def _build_scalar(kind: typing.Any, value: Json, where: str) -> Json:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**53 else math.inf
    if type(value) is not kind:
        raise ContractError(f"{where}: {type(value).__name__}, need {kind.__name__}")
    if kind is float and not math.isfinite(value):
        raise ContractError(f"{where}: not a finite number")
    if kind is int and abs(value) >= 2**63:
        raise ContractError(f"{where}: an integer of {value.bit_length()} bits")
    return value
