"""The project's journal, opened for commands that only read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from controller.project.project import Project

if TYPE_CHECKING:
    from state.journal import Journal


def open_journal(project: Project) -> Journal:
    """The journal, for reading only. Raises StateError."""
    from state.database import open_database
    from state.journal import Journal

    project.prepare(reading=True)
    return Journal(open_database(project.database, readonly=True))
