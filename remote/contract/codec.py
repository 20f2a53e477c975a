"""Writes dataclasses as JSON documents, and reads them strictly.

The annotations of the dataclasses decide, so their modules must not postpone annotations. A path
stands in a document as `names` encodes it.
"""

from __future__ import annotations

from .. import light_json, names
from ..light_dataclasses import fields, is_light

TYPE_CHECKING = False  # of `typing`, which is not imported: it costs CPU
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    Json = Any  # a decoded JSON value
    Name = str
    T = TypeVar("T")
else:
    Json = object

    class Name:
        """Annotates a path as `names` has it in memory; in a document it stands encoded."""


SCHEMA = 1
MAX_DOCUMENT = 64 * 1024 * 1024  # bytes; a manifest of 100,000 files is about 12 MB and more
MAX_SMALL = 1024 * 1024  # bytes of every document that is no manifest
MAX_FILES = 100_000  # files in one manifest; entries of any list
MAX_PARTS = 10 * MAX_FILES  # objects and lists of a document: each takes twenty times its text
OPENSSL_FROM = 1024 * 1024  # bytes to hash, from which on OpenSSL is worth its loading
MAX_TEXT = 400  # characters of an error about a document

_OPTIONAL = type(int | None)
_INFINITY = float("inf")


class ContractError(ValueError):
    """A document from the other side is not what the contract says.

    The text is short and plain ASCII, whatever the document contains.
    """

    def __init__(self, text: str) -> None:
        super().__init__(ascii(text[:MAX_TEXT])[1:-1])


def dump(document: Json) -> bytes:
    """Return a dataclass of the contract as canonical JSON bytes with a final newline."""
    text = light_json.dumps(plain(document), canonical=True)
    return text.encode() + b"\n"


def load(kind: type[T], data: bytes | str) -> T:
    """Parse one document strictly; unknown fields are ignored, wrong types are errors.

    Raises ContractError and nothing else, whatever `data` holds.
    """
    name, raw = kind.__name__, data.encode("utf-8", "replace") if isinstance(data, str) else data
    limit = cap(kind)
    if len(raw) > limit:
        raise ContractError(f"{name}: {len(raw)} bytes is over the cap of {limit}")
    if raw.count(b"{") + raw.count(b"[") > MAX_PARTS:
        raise ContractError(f"{name}: over {MAX_PARTS} objects and lists")
    try:
        value = light_json.loads(raw, constants=False)
    except (ValueError, RecursionError) as error:
        raise ContractError(f"{name}: not JSON: {error}") from None
    if not isinstance(value, dict):
        raise ContractError(f"{name}: not an object")
    schema = value.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        shown = schema if type(schema) is int else type(schema).__name__
        raise ContractError(f"{name}: schema {shown}, need {SCHEMA}")
    document: T = build(kind, value, name)
    return document


def cap(kind: type) -> int:
    """Return how many bytes a document of this kind may have."""
    return int(getattr(kind, "max_bytes", MAX_SMALL))


def digest(data: bytes) -> str:
    """Return the SHA-256 of `data` in hex digits."""
    return str(_sha256(len(data))(data).hexdigest())


def _sha256(size: int) -> Callable[[bytes], Any]:
    """Python's own implementation for small data: it loads at once, OpenSSL's hashes faster."""
    modules = ("_sha2", "_sha256")  # since Python 3.12, and before
    for module in modules if size < OPENSSL_FROM else ():
        try:
            constructor: Callable[[bytes], Any] = __import__(module).sha256
        except (ImportError, AttributeError):
            continue
        return constructor
    from hashlib import sha256

    return sha256


def number(value: Json) -> float | None:
    """Return a finite number; None for anything else, NaN and endless integers included."""
    numeric = isinstance(value, (int, float)) and not isinstance(value, bool)
    return float(value) if numeric and abs(value) < 1e300 else None


def plain(value: Json, kind: Json = None) -> Json:
    """Return `value`, annotated as `kind`, as JSON represents it."""
    if is_light(type(value)):
        return {
            field.name: plain(getattr(value, field.name), field.kind)
            for field in fields(type(value))
        }
    if isinstance(value, (tuple, list)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        keys, values = getattr(kind, "__args__", (None, None))
        return {plain(key, keys): plain(item, values) for key, item in value.items()}
    return names.encode(value) if kind is Name else value


def build(kind: Json, value: Json, where: str) -> Json:
    """Return the JSON `value` as an instance of the annotation `kind`.

    Raises ContractError with `where`, the value's place in the document.
    """
    if is_light(kind):
        return _build_dataclass(kind, value, where)
    if isinstance(kind, _OPTIONAL):
        return None if value is None else build(_inner(kind), value, where)
    origin = getattr(kind, "__origin__", None)
    if origin is tuple:
        if not isinstance(value, list) or len(value) > MAX_FILES:
            raise ContractError(f"{where}: not a list of at most {MAX_FILES}")
        item = kind.__args__[0]
        return tuple([build(item, part, f"{where}[{i}]") for i, part in enumerate(value)])
    if origin is dict:
        if not isinstance(value, dict):
            raise ContractError(f"{where}: not an object")
        keys, values = kind.__args__
        return {build(keys, k, where): build(values, v, f"{where}.{k}") for k, v in value.items()}
    if kind is Name:
        return names.decode(_build_scalar(str, value, where))
    return _build_scalar(kind, value, where)


def _inner(kind: Json) -> Json:
    """Return X of `X | None`."""
    (inner,) = (arg for arg in kind.__args__ if arg is not type(None))
    return inner


def _build_dataclass(kind: type, value: Json, where: str) -> Json:
    if not isinstance(value, dict):
        raise ContractError(f"{where}: not an object")
    content = {}
    for field in fields(kind):
        if field.name in value:
            content[field.name] = build(field.kind, value[field.name], f"{where}.{field.name}")
        elif field.required:
            raise ContractError(f"{where}: no field {field.name!r}")
    return kind(**content)


def _build_scalar(kind: Json, value: Json, where: str) -> Json:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 2**53 else _INFINITY
    if type(value) is not kind:
        raise ContractError(f"{where}: {type(value).__name__}, need {kind.__name__}")
    if kind is float and not -_INFINITY < value < _INFINITY:
        raise ContractError(f"{where}: not a finite number")
    if kind is int and abs(value) >= 2**63:
        raise ContractError(f"{where}: an integer of {value.bit_length()} bits")
    return value
