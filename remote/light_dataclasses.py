"""The standard library's `dataclass`, `field` and `replace`, for processes that must start quickly.

Importing `dataclasses` costs a process about as much CPU as starting Python, and each decorated
class costs as much again as the function that it compiles. The agent is started once for each
request, so here nothing is compiled: the methods are generic. Type checkers see the originals.
`dataclasses.fields`, `asdict` and `replace` work on these classes; inheritance, `__post_init__` and
`ClassVar` are not supported.
"""

from __future__ import annotations

TYPE_CHECKING = False  # of `typing`, without its import; type checkers know the name

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from typing import Any

_MISSING = object()


class Field:
    """One field of a light dataclass; `kind` is its annotation, as the class body has it."""

    __slots__ = ("default", "factory", "kind", "name")

    def __init__(self, name: str, kind: object, default: object) -> None:
        self.name, self.kind, self.default = name, kind, default
        self.factory = default.factory if isinstance(default, _Factory) else None

    @property
    def required(self) -> bool:
        return self.default is _MISSING

    def initial(self) -> object:
        return self.default if self.factory is None else self.factory()


class _Factory:
    """What `field(default_factory=…)` leaves in the class body."""

    def __init__(self, factory: Callable[[], object]) -> None:
        self.factory = factory


class _Standard:
    """Provides an attribute that `dataclasses` sets on its classes, when somebody asks for it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type) -> object:
        from dataclasses import field, make_dataclass

        specs: list[tuple[str, Any, Any]] = []
        for declared in fields(owner):
            if declared.factory is not None:
                specs.append(
                    (declared.name, declared.kind, field(default_factory=declared.factory))
                )
            else:
                specs.append(
                    (
                        declared.name,
                        declared.kind,
                        field() if declared.required else declared.default,
                    )
                )
        return getattr(make_dataclass(owner.__name__, specs, frozen=True), self._name)


def fields(kind: type) -> tuple[Field, ...]:
    """The fields of a light dataclass, in order."""
    declared: tuple[Field, ...] = vars(kind)["__light_fields__"]
    return declared


def is_light(kind: object) -> bool:
    """Whether `kind` is a light dataclass."""
    return isinstance(kind, type) and hasattr(kind, "__light_fields__")


def _initialize(self: object, *args: object, **given: object) -> None:
    kind = type(self)
    specs = fields(kind)
    if len(args) > len(specs):
        raise TypeError(f"{kind.__name__}() takes {len(specs)} arguments, got {len(args)}")
    values = {spec.name: value for spec, value in zip(specs, args, strict=False)}
    if given:
        if twice := values.keys() & given.keys():
            raise TypeError(f"{kind.__name__}() got {min(twice)!r} twice")
        values.update(given)
    if len(values) < len(specs):
        for spec in specs:
            if spec.name not in values:
                if spec.required:
                    raise TypeError(f"{kind.__name__}() lacks the argument {spec.name!r}")
                values[spec.name] = spec.initial()
    if len(values) > len(specs):
        unknown = values.keys() - {spec.name for spec in specs}
        raise TypeError(f"{kind.__name__}() has no field {min(unknown)!r}")
    self.__dict__.update(values)


def _values(self: object) -> tuple[object, ...]:
    content = self.__dict__
    return tuple([content[spec.name] for spec in fields(type(self))])


def _equal(self: object, other: object) -> object:
    return _values(self) == _values(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash(_values(self))


def _represent(self: object) -> str:
    values = self.__dict__
    inside = ", ".join(f"{spec.name}={values[spec.name]!r}" for spec in fields(type(self)))
    return f"{type(self).__qualname__}({inside})"


def _refuse(self: object, name: str, *_value: object) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot change field {name!r} of {type(self).__name__}")


def _decorate(kind: type, frozen: bool) -> type:
    body = vars(kind)
    specs = [
        Field(name, annotation, body.get(name, _MISSING))
        for name, annotation in kind.__annotations__.items()
    ]
    methods: dict[str, object] = {
        "__light_fields__": tuple(specs),
        "__match_args__": tuple([spec.name for spec in specs]),
        "__dataclass_fields__": _Standard("__dataclass_fields__"),
        "__dataclass_params__": _Standard("__dataclass_params__"),
        "__init__": _initialize,
        "__eq__": _equal,
        "__hash__": _hash if frozen else None,
        "__repr__": body.get("__repr__", _represent),
    }
    if frozen:
        methods |= {"__setattr__": _refuse, "__delattr__": _refuse}
    for name, method in methods.items():
        setattr(kind, name, method)
    for spec in specs:
        if spec.factory is not None:
            delattr(kind, spec.name)
    return kind


if not TYPE_CHECKING:

    def dataclass(kind=None, *, frozen=False):
        """Give a class the methods of a dataclass."""
        return _decorate(kind, frozen) if kind else lambda kind: _decorate(kind, frozen)

    def field(*, default_factory):
        """Give each instance its own default."""
        return _Factory(default_factory)

    def replace(record, **changes):
        """Copy `record` with other values in some fields."""
        return type(record)(**{**record.__dict__, **changes})
