"""Keys into a JSON value: `results.task."acc,none"`, `log_history.-1.loss`, `log_history.*.loss`.

Parts are divided by dots; a part in quotes may hold dots. In a list a part is an index, from the
end when it is negative. `*` stands for every member of a list, in series only. A member whose name
is the whole key goes before all of that: lines of a log have names such as `eval.loss`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .format_check import InvalidFile

MAX_PARTS = 32
EVERY = "*"
_PART = re.compile(r"""(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<plain>[^."']*))(?:\.|$)""")
_INDEX = re.compile(r"-?[0-9]{1,9}")


def parts(key: str) -> tuple[str, ...]:
    """The parts of a key. Raises InvalidFile when it is none."""
    names: list[str] = []
    at = 0
    while at < len(key):
        part = _PART.match(key, at)
        if part is None:
            raise InvalidFile(f"{key!r} is no key: quotes stand around a whole part")
        quoted = part["double"] if part["double"] is not None else part["single"]
        name = quoted if quoted is not None else part["plain"]
        if not name:
            raise InvalidFile(f"{key!r} is no key: it has an empty part")
        names.append(name)
        at = part.end()
    if key.endswith("."):
        raise InvalidFile(f"{key!r} is no key: it ends in a dot")
    if len(names) > MAX_PARTS:
        raise InvalidFile(f"a key of over {MAX_PARTS} parts")
    return tuple(names)


def at(value: Any, key: str) -> Any:
    """The member at `key`. Raises InvalidFile with the path so far when one lacks."""
    if isinstance(value, dict) and key in value:
        return value[key]
    done: list[str] = []
    for part in parts(key):
        done.append(part)
        value = _member(value, part, ".".join(done))
    return value


def _member(value: Any, part: str, where: str) -> Any:
    if isinstance(value, list) and _INDEX.fullmatch(part):
        try:
            return value[int(part)]
        except IndexError:
            raise InvalidFile(f"no {where}: the list has {len(value)} members") from None
    if not isinstance(value, dict) or part not in value:
        raise InvalidFile(f"no {where}{_instead(value)}")
    return value[part]


def _instead(value: Any) -> str:
    """A hint that lists the existing names, for a mistyped one."""
    if isinstance(value, list):
        return f": a list of {len(value)} members, named by 0 or -1"
    if isinstance(value, dict) and value:
        names = sorted(str(name) for name in value)
        return f"; there is {', '.join(names[:5])}" + (" …" if len(names) > 5 else "")
    return ""


def every(value: Any, key: str) -> Iterator[Any]:
    """What `key` names in `value`, over all members of a list on the way; what lacks is left out.

    A list is gone through at `*`, and also where the key goes on with a name.
    """
    if isinstance(value, dict) and key in value:
        yield value[key]
        return
    yield from _each(value, parts(key))


def _each(value: Any, rest: tuple[str, ...]) -> Iterator[Any]:
    if not rest:
        if isinstance(value, list):
            yield from value
        else:
            yield value
        return
    first, *more = rest
    if isinstance(value, list):
        if _INDEX.fullmatch(first):
            if -len(value) <= int(first) < len(value):
                yield from _each(value[int(first)], tuple(more))
            return
        for member in value:
            if first == EVERY:
                yield from _each(member, tuple(more)) if more else (member,)
            elif not isinstance(member, list):
                yield from _each(member, rest)
    elif isinstance(value, dict):
        flat_name = ".".join(rest)  # a flat name with dots, in the members of a list
        if flat_name in value:
            yield value[flat_name]
        elif first == EVERY:
            for member in value.values():
                yield from _each(member, tuple(more))
        elif first in value:
            yield from _each(value[first], tuple(more))
