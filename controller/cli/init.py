"""`podctl init`: writes a commented podctl.toml and a .gitignore."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click

from controller.errors import UsageError
from controller.project.consent import note_use
from controller.project.project import FILE, Project
from controller.terminal.streams import is_tty
from controller.terminal.terminal import Terminal
from remote.reserved_names import STATE

# Not for git: the local state, and files that are too large. locks/ and STATUS.md are for git.
IGNORED = (f"{STATE}/", "artifacts/", "checkpoints/")


@click.command("init")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="Name of the project (default: the folder's name).")
@click.option(
    "--provider", type=click.Choice(["runpod", "emulator"]), help="Provider that rents the pods."
)
@click.option("--demo", is_flag=True, help="Use the small model and sample data of `make demo`.")
@click.option("--force", is_flag=True, help=f"Replace an existing {FILE}.")
@click.option(
    "--print", "print_", is_flag=True, help="Print the commented example and write nothing."
)
@click.pass_obj
def command(
    terminal: Terminal,
    folder: Path | None,
    name: str | None,
    provider: str | None,
    demo: bool,
    force: bool,
    print_: bool,
) -> None:
    """Write a commented podctl.toml and a .gitignore into FOLDER (default: the current folder)."""
    from controller.demo import sample_project as sample
    from controller.project.config import example, parse

    root = (folder or Path.cwd()).resolve()
    chosen = provider or ("emulator" if demo else "runpod")
    text = (sample.config if demo else example)(name or _name_of(root), chosen)
    if print_:
        terminal.data(text, end="")
        return
    parse(text, where=str(root / FILE))  # rejects an invalid --name before anything is written
    project = Project(root)
    if project.file.exists() and not force:
        question = f"{project.file} exists. Replace it?"
        if not is_tty(terminal.source) or not terminal.confirm(question, "--force"):
            raise UsageError(
                f"{FILE} exists and was not changed",
                where=str(project.file),
                hint="podctl init --force replaces it; podctl init --print prints an example",
            )
    _write(root, project, text)
    terminal.say(f"wrote {project.file}")
    terminal.say("next: podctl doctor")


def _write(root: Path, project: Project, text: str) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        _replace(project.file, text)
        _ignore(root / ".gitignore")
    except OSError as error:
        raise UsageError(
            "cannot write the project's files", where=str(root), cause=str(error)
        ) from error
    project.prepare()
    note_use(project)


def _name_of(root: Path) -> str:
    """The folder's name as a project's name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._")
    return name[:63] or "project"


def _ignore(path: Path) -> None:
    """Add the missing lines to .gitignore and keep the others."""
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    have = {line.strip() for line in present.splitlines()}
    missing = [line for line in IGNORED if line not in have]
    if missing:
        gap = "" if not present or present.endswith("\n") else "\n"
        _replace(path, present + gap + "\n".join(missing) + "\n")


def _replace(path: Path, text: str) -> None:
    """Write a temporary file, sync, rename: a crash leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
