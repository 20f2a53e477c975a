"""A laptop without the emulator's libraries: what needs them says so."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec

import pytest

from controller.errors import UsageError
from controller.providers.emulator import requirements


def test_a_missing_library_is_told_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not an ImportError from somewhere inside."""

    def without_starlette(name: str) -> ModuleSpec | None:
        return None if name == "starlette" else importlib.util.find_spec(name)

    monkeypatch.setattr(requirements, "find_spec", without_starlette)
    with pytest.raises(UsageError) as raised:
        requirements.check_installed()

    assert raised.value.cause == "missing: starlette"
    assert "[emulator]" in raised.value.hint


def test_with_all_of_them_nothing_is_said() -> None:
    """The libraries that are checked are those that the emulator imports."""
    requirements.check_installed()
