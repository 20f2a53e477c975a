"""The standard library's JSON, for processes that must start quickly.

Importing `json` brings `re` with it, which costs about as much CPU as starting Python. The C module
that does its work is used here directly; where that is missing, or refuses a text, `json` itself
decides, so that values and errors are the same.
"""

from __future__ import annotations

TYPE_CHECKING = False  # of `typing`, without its import; type checkers know the name
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SPACE = " \t\n\r"


class _Settings:
    """What the C scanner asks of a decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    memo: dict[str, str] = {}  # noqa: RUF012 - the scanner's own

    def __init__(self, parse_constant: Callable[[str], Any]) -> None:
        self.parse_constant = parse_constant


def refuse_constant(name: str) -> float:
    """Refuse NaN and Infinity, which are not JSON."""
    raise ValueError(f"{name} is not JSON")


_CONSTANTS = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
_scan: dict[bool, Callable[[str, int], tuple[Any, int]]] = {}
_encode: dict[bool, Callable[[Any, int], tuple[str, ...]]] = {}
try:
    import _json

    for _strictly, _parse in ((True, refuse_constant), (False, _CONSTANTS.__getitem__)):
        _scan[_strictly] = _json.make_scanner(_Settings(_parse))  # type: ignore[arg-type] # as above
except (ImportError, AttributeError, TypeError):
    _scan.clear()


def loads(data: bytes | str, *, constants: bool = True) -> Any:
    """Parse one document, as `json.loads` does; without `constants`, NaN and Infinity are errors.

    Raises ValueError, and RecursionError for a document that is nested too deeply.
    """
    try:
        text = (data if isinstance(data, str) else data.decode()).strip(_SPACE)
        value, end = _scan[not constants](text, 0)
        if end == len(text):
            return value
    except (KeyError, StopIteration, ValueError):
        pass
    import json

    return json.loads(data, parse_constant=None if constants else refuse_constant)


def dumps(value: Any, *, canonical: bool = False) -> str:
    """Write one document, as `json.dumps` does; `canonical` sorts the keys and adds no space."""
    if isinstance(value, (dict, list)):
        try:
            return "".join(_encoder(canonical)(value, 0))
        except (ImportError, AttributeError, TypeError):
            pass
    import json

    separators = (",", ":") if canonical else None
    return json.dumps(value, sort_keys=canonical, separators=separators)


def _encoder(canonical: bool) -> Callable[[Any, int], tuple[str, ...]]:
    if canonical not in _encode:
        colon, comma = (":", ",") if canonical else (": ", ", ")
        quote = _json.encode_basestring_ascii
        _encode[canonical] = _json.make_encoder(
            {}, _refuse_value, quote, None, colon, comma, canonical, False, True
        )
    return _encode[canonical]


def _refuse_value(value: object) -> str:
    raise TypeError(f"{type(value).__name__} is not JSON")
