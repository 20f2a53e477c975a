"""`podctl init`: writes a commented podctl.toml and a .gitignore."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from controller.cli.names import template_names
from controller.errors import UsageError
from controller.project.consent import note_use
from controller.project.project import FILE, SCHEMA_FILE, Project
from controller.terminal.streams import is_tty
from controller.terminal.terminal import Terminal
from remote.reserved_names import STATE
from state.file_sync import sync_file

if TYPE_CHECKING:
    from controller.project.templates import Template

# Not for git: the local state, and files that are too large. locks/ and STATUS.md are for git.
IGNORED = (f"{STATE}/", "artifacts/", "checkpoints/")
SCHEMA_LINE = f"#:schema ./{STATE}/{SCHEMA_FILE}"  # for editors


@click.command("init")
@click.argument("folder", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", help="Name of the project (default: the folder's name).")
@click.option(
    "--provider", type=click.Choice(["runpod", "emulator"]), help="Provider that rents the pods."
)
@click.option(
    "--template",
    "template_name",
    metavar="NAME",
    shell_complete=template_names,
    help="Write a project that runs as it is; `--template list` names them.",
)
@click.option(
    "--plan",
    type=click.Choice(["stage1", "none"]),
    help="stage1: include the five stages that come with podctl; none: only your own.",
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
    template_name: str | None,
    plan: str | None,
    demo: bool,
    force: bool,
    print_: bool,
) -> None:
    """Write a commented podctl.toml and a .gitignore into FOLDER (default: the current folder)."""
    from controller.demo import sample_project as sample
    from controller.project import templates
    from controller.project.config import example, parse

    if template_name is not None and (demo or plan):
        raise UsageError("--template cannot be combined with --demo or --plan")
    if template_name == "list":
        for called, found in templates.TEMPLATES.items():
            terminal.data(f"{called:<14} {found.what}")
        return
    root = (folder or Path.cwd()).resolve()
    called = name or _name_of(root)
    chosen = templates.template(template_name) if template_name is not None else None
    if chosen is not None:
        text = templates.config(chosen, called, provider or "emulator")
    elif demo:
        text = sample.config(called, provider or "emulator")
    else:
        text = example(called, provider or "runpod", plan or "stage1")
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
    own = chosen is not None or demo
    if not own and plan is None and _asks_for_own(terminal):
        text = example(called, provider or "runpod", "none")
    _write(root, project, f"{SCHEMA_LINE}\n{text}")
    if chosen is not None:
        written = templates.write(chosen, root, text)
        terminal.say(f"wrote {', '.join((FILE, *_briefly(written.paths)))} to {root}")
        if written.kept:
            kept = ", ".join(_briefly(written.kept))
            terminal.warn(f"{kept}: was here and was kept; the template has another")
    else:
        terminal.say(f"wrote {project.file}")
    terminal.say(f"next: {_next(chosen, text)}")


def _asks_for_own(terminal: Terminal) -> bool:
    """Whether the project is to have the user's own stages only; without a terminal, no."""
    if not is_tty(terminal.source):
        return False
    question = "Include the five stages that come with podctl (SFT and DPO of a base model)?"
    return not terminal.confirm(question, "--plan")


def _briefly(paths: tuple[str, ...]) -> list[str]:
    """Folders once, with a slash."""
    return list(dict.fromkeys(f"{head}/" if slash else head for head, slash, _ in _parts(paths)))


def _parts(paths: tuple[str, ...]) -> list[tuple[str, str, str]]:
    return [path.partition("/") for path in paths]


def _next(chosen: Template | None, text: str) -> str:
    if chosen is not None:
        first = next(iter(tomllib.loads(text)["stages"]))
        return f"podctl emulator start, then podctl run {first}"
    if 'plan = "none"' in text:
        return f"add a [stages.NAME] table to {FILE}, then podctl check"
    return "podctl doctor"


def _write(root: Path, project: Project, text: str) -> None:
    from controller.project.schema import write_schema

    try:
        root.mkdir(parents=True, exist_ok=True)
        _replace(project.file, text)
        _ignore(root / ".gitignore")
    except OSError as error:
        raise UsageError(
            "cannot write the project's files", where=str(root), cause=str(error)
        ) from error
    project.prepare()
    write_schema(project)
    note_use(project)


def _name_of(root: Path) -> str:
    """The folder's name as a project's name."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name).strip("-._")
    return name[:63] or "project"


def _ignore(path: Path) -> None:
    """Add the missing lines to .gitignore and keep the others."""
    present = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    have = {line.strip() for line in present.splitlines()}
    missing = [line for line in IGNORED if line not in have]
    if missing:
        gap = "" if not present or present.endswith("\n") else "\n"
        _replace(path, present + gap + "\n".join(missing) + "\n")


def _replace(path: Path, text: str) -> None:
    """Write a temporary file, sync, rename: a crash leaves the old file or the new one."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        with beside.open("w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            sync_file(file.fileno())
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
